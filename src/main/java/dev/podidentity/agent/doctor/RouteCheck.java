package dev.podidentity.agent.doctor;

import dev.podidentity.agent.network.LinkState;
import dev.podidentity.agent.network.LinkState.Towards;
import java.util.ArrayList;
import java.util.List;

/** Checks that the routes to the agent's addresses lead to the agent. */
final class RouteCheck implements Check {

    private final NodeNetwork network;

    RouteCheck(NodeNetwork network) {
        this.network = network;
    }

    @Override
    public String name() {
        return "route";
    }

    @Override
    public List<Finding> examine() {
        if (network.link().isEmpty()) {
            return List.of(Finding.skip(network.unknown()));
        }
        LinkState state = network.link().get();
        List<Finding> findings = new ArrayList<>();
        for (Towards route : state.routes()) {
            findings.add(route.ours()
                    ? Finding.ok("The route '" + route.described() + "' leads to the agent")
                    : Finding.fail("The route '" + route.described() + "' leads elsewhere",
                            "If nothing else needs it, remove it: " + route.removal()));
        }
        state.addresses().stream()
                .filter(held -> held.ours() && !held.link().equals("lo"))
                .filter(held -> state.routes().stream().noneMatch(route -> route.to().equals(held.address())))
                .forEach(held -> findings.add(Finding.warn("There is no route to " + held.address() + " in the main table",
                        LinkCheck.INITIALIZE)));
        if (findings.isEmpty()) {
            findings.add(Finding.ok("No route leads elsewhere"));
        }
        return findings;
    }
}

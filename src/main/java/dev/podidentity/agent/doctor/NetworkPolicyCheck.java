package dev.podidentity.agent.doctor;

import dev.podidentity.agent.outbound.CallFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Checks that no NetworkPolicy blocks the agent's address for the pod. */
final class NetworkPolicyCheck implements Check {

    private static final String AGENT = "169.254.170.23";
    private static final int PORT = 80;

    private final Pod pod;
    private final Kube kube;

    NetworkPolicyCheck(Pod pod, Kube kube) {
        this.pod = pod;
        this.kube = kube;
    }

    @Override
    public String name() {
        return "network-policy";
    }

    @Override
    public List<Finding> examine() {
        if (pod.hostNetwork()) {
            return List.of(Finding.ok("Network policies do not apply to pods on the host network"));
        }
        try {
            List<Tree> restricting = kube.get("/apis/networking.k8s.io/v1/namespaces/" + pod.namespace() + "/networkpolicies")
                    .map(list -> new Tree(list).at("items").each())
                    .orElse(List.of())
                    .stream()
                    .filter(this::restricts)
                    .toList();
            return List.of(finding(restricting));
        } catch (CallFailure failure) {
            return List.of(Finding.skip(failure.getMessage(), "Run doctor with permission to list network policies"));
        }
    }

    private static Finding finding(List<Tree> restricting) {
        if (restricting.isEmpty()) {
            return Finding.ok("No NetworkPolicy restricts its egress; policies of a CNI plugin's own kind are not checked");
        }
        List<String> names = new ArrayList<>();
        for (Tree policy : restricting) {
            if (policy.at("spec", "egress").each().stream().anyMatch(NetworkPolicyCheck::lets)) {
                return Finding.ok("A NetworkPolicy allows connections to " + AGENT + ": " + name(policy));
            }
            names.add(name(policy));
        }
        return Finding.warn("No NetworkPolicy allows connections to " + AGENT + ", and these restrict its egress: "
                        + String.join(", ", names) + "; most CNI plugins enforce this for link-local addresses too",
                "Allow egress to the ipBlock " + AGENT + "/32 on TCP port " + PORT + " (in an IPv6 cluster fd00:ec2::23/128)");
    }

    private static String name(Tree policy) {
        return policy.at("metadata", "name").text().orElse("");
    }

    private boolean restricts(Tree policy) {
        boolean egress = policy.at("spec", "policyTypes").there()
                ? policy.at("spec", "policyTypes").each().contains(new Tree("Egress"))
                : policy.at("spec", "egress").there();
        return egress && selects(policy.at("spec", "podSelector"), pod.labels());
    }

    static boolean selects(Tree selector, Map<String, String> labels) {
        return labels.entrySet().containsAll(selector.at("matchLabels").texts().entrySet())
                && selector.at("matchExpressions").each().stream().allMatch(expression -> matches(expression, labels));
    }

    private static boolean matches(Tree expression, Map<String, String> labels) {
        Optional<String> value = expression.at("key").text().map(labels::get);
        List<Tree> values = expression.at("values").each();
        return switch (expression.at("operator").text().orElse("")) {
            case "In" -> value.map(text -> values.contains(new Tree(text))).orElse(false);
            case "NotIn" -> value.map(text -> !values.contains(new Tree(text))).orElse(true);
            case "Exists" -> value.isPresent();
            case "DoesNotExist" -> value.isEmpty();
            default -> false;
        };
    }

    private static boolean lets(Tree rule) {
        List<Tree> to = rule.at("to").each();
        List<Tree> ports = rule.at("ports").each();
        return (to.isEmpty() || to.stream().anyMatch(peer -> takesAgent(peer.at("ipBlock"))))
                && (ports.isEmpty() || ports.stream().anyMatch(NetworkPolicyCheck::takesPort));
    }

    private static boolean takesAgent(Tree block) {
        return contains(block.at("cidr")) && block.at("except").each().stream().noneMatch(NetworkPolicyCheck::contains);
    }

    private static boolean contains(Tree range) {
        return range.text().flatMap(Cidr::parse).map(known -> known.contains(AGENT)).orElse(false);
    }

    private static boolean takesPort(Tree port) {
        if (!port.at("protocol").text().orElse("TCP").equals("TCP")) {
            return false;
        }
        if (!port.at("port").there()) {
            return true;
        }
        // Port names refer to pods' ports, and the agent's address is not a pod's.
        int first = port.at("port").value() instanceof Integer number ? number : PORT + 1;
        int last = port.at("endPort").value() instanceof Integer number ? number : first;
        return first <= PORT && PORT <= last;
    }
}

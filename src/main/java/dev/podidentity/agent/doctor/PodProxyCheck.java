package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.Pod.Container;
import java.net.URI;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Checks that an SDK in the pod would not call a proxy for its credentials. */
final class PodProxyCheck implements Check {

    private static final String IPV4 = "169.254.170.23";

    private final Pod pod;

    PodProxyCheck(Pod pod) {
        this.pod = pod;
    }

    @Override
    public String name() {
        return "pod-proxy";
    }

    @Override
    public List<Finding> examine() {
        List<Finding> findings = pod.containers().stream()
                .filter(container -> proxied(container.environment()))
                .map(PodProxyCheck::finding)
                .toList();
        return findings.isEmpty() ? List.of(Finding.ok("The pod's variables set no proxy between it and the agent")) : findings;
    }

    private static Finding finding(Container container) {
        return Finding.warn("The container " + container.name() + " has HTTP_PROXY, and a NO_PROXY without the agent's"
                + " address: some SDKs"
                + " would ask the proxy for credentials", "Add " + agent(container.environment()) + " to its NO_PROXY");
    }

    private static boolean proxied(Map<String, String> environment) {
        String agent = agent(environment);
        // The agent is called over plain HTTP.
        return variable(environment, "HTTP_PROXY").or(() -> variable(environment, "ALL_PROXY")).isPresent()
                && Arrays.stream(variable(environment, "NO_PROXY").orElse("").split(","))
                        .map(entry -> entry.strip().replaceAll("[\\[\\]]", ""))
                        .noneMatch(entry -> entry.equals("*") || entry.equals(agent) || takesLinkLocal(entry, agent));
    }

    private static boolean takesLinkLocal(String entry, String agent) {
        return agent.equals(IPV4) && Cidr.parse(entry).map(range -> range.contains(IPV4)).orElse(false);
    }

    private static String agent(Map<String, String> environment) {
        String uri = environment.getOrDefault(InjectionCheck.URI, "");
        return uri.startsWith("http://[") ? URI.create(uri).getHost().replaceAll("[\\[\\]]", "") : IPV4;
    }

    private static Optional<String> variable(Map<String, String> environment, String name) {
        return Stream.of(name, name.toLowerCase(Locale.ROOT))
                .filter(environment::containsKey)
                .map(environment::get)
                .findFirst();
    }
}

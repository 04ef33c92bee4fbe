package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.doctor.Samples.Sample;
import dev.podidentity.agent.outbound.CallFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Checks the running agent's metrics for rejected requests and other problems. */
final class LimitsCheck implements Check {

    private static final String PREFIX = "pod_identity_";
    private static final double NEARLY_FULL = 0.9;
    private static final double MEBIBYTE = 1024 * 1024;

    private final AgentHttp agent;

    LimitsCheck(AgentHttp agent) {
        this.agent = agent;
    }

    @Override
    public String name() {
        return "limits";
    }

    @Override
    public List<Finding> examine() {
        try {
            ApiAnswer scrape = agent.get("/metrics");
            if (!scrape.ok()) {
                return List.of(Finding.skip("The agent does not return its metrics: HTTP " + scrape.status()));
            }
            return findings(Samples.parse(scrape.body().toString()));
        } catch (CallFailure failure) {
            return List.of(Finding.skip("There are no metrics, because the agent does not respond"));
        }
    }

    private static List<Finding> findings(Samples samples) {
        if (samples.of(PREFIX + "build_info").isEmpty()) {
            return List.of(Finding.warn("The process that responds has other metrics than this agent: it may be the reference",
                    "Find out which DaemonSet owns the pod on this node"));
        }
        List<Finding> findings = new ArrayList<>();
        // A node need not have each address: one without IPv6 does not.
        Set<Map<String, String>> notRequired = samples.of(PREFIX + "listener_required").stream()
                .filter(listener -> listener.value() == 0)
                .map(Sample::labels)
                .collect(Collectors.toSet());
        for (Sample listener : samples.of(PREFIX + "listener_up")) {
            if (listener.value() == 0 && !notRequired.contains(listener.labels())) {
                findings.add(Finding.warn("The listener for " + listener.labels().get("listener") + " on "
                        + listener.labels().get("address") + " is down", "See 'port' and 'address' above; the agent retries"
                        + " by itself"));
            }
        }
        for (Sample limit : samples.of(PREFIX + "limit_rejections_total")) {
            if (limit.value() > 0) {
                findings.add(Finding.warn("The limit " + limit.labels().get("limit") + " has rejected "
                                + Math.round(limit.value()) + " since the agent started",
                        "The agent's log names the sources; docs/metrics.md explains the limits"));
            }
        }
        if (samples.value(PREFIX + "agent_credentials").orElse(1.0) == 0) {
            findings.add(Finding.fail("The agent has no usable AWS credentials of its own",
                    "See 'credentials' and 'permission' above"));
        }
        if (samples.value(PREFIX + "upstream_outage").orElse(0.0) > 0) {
            findings.add(Finding.fail("Calls to EKS Auth fail for all pods", "See 'eks-auth' and 'permission' above"));
        }
        if (samples.value(PREFIX + "log_lines_dropped_total").orElse(0.0) > 0) {
            findings.add(Finding.warn("The agent has dropped log lines, because its standard output is not read fast enough",
                    "Check the container runtime on this node"));
        }
        double used = samples.value(PREFIX + "heap_used_bytes").orElse(0.0);
        double most = samples.value(PREFIX + "heap_max_bytes").orElse(Double.MAX_VALUE);
        if (used > NEARLY_FULL * most) {
            findings.add(Finding.warn("The agent's heap is nearly full: " + mebibytes(used) + " of " + mebibytes(most) + " MiB",
                    "See Memory in docs/operations.md"));
        }
        if (findings.isEmpty()) {
            long entries = Math.round(samples.value(PREFIX + "cache_entries").orElse(0.0));
            findings.add(Finding.ok("No limit was reached; the cache holds " + entries + (entries == 1 ? " identity" : " identities")
                    + ", the heap " + mebibytes(used) + " of " + mebibytes(most) + " MiB"));
        }
        return findings;
    }

    private static long mebibytes(double bytes) {
        return Math.round(bytes / MEBIBYTE);
    }
}

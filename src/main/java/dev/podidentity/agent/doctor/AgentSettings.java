package dev.podidentity.agent.doctor;

import dev.podidentity.agent.config.Checked;
import dev.podidentity.agent.config.VerificationMode;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The configuration of an agent, as far as the checks need it.
 *
 * @param node the name of this node, if the environment has it
 */
record AgentSettings(
        Optional<String> clusterName,
        int port,
        int probePort,
        String metricsAddress,
        int metricsPort,
        List<String> bindHosts,
        Optional<URI> endpoint,
        VerificationMode verification,
        boolean podWatch,
        boolean events,
        Optional<String> startupTaint,
        Optional<URI> issuer,
        Optional<URI> apiServer,
        Path serviceAccount,
        Optional<String> node) {

    /** @param values the validated values of the flags of {@code server} by their names, including defaults */
    static AgentSettings of(Map<String, String> values, Map<String, String> environment) {
        return new AgentSettings(
                Optional.ofNullable(values.get("cluster-name")),
                Integer.parseInt(values.get("port")),
                Integer.parseInt(values.get("probe-port")),
                new Checked.Host().convert(values.get("metrics-address")),
                Integer.parseInt(values.get("metrics-port")),
                Arrays.stream(values.get("bind-hosts").split(",")).map(new Checked.Host()::convert).toList(),
                Optional.ofNullable(values.get("endpoint")).map(URI::create),
                VerificationMode.parse(values.get("token-verification")),
                truth(values.get("pod-watch")),
                truth(values.get("events")),
                Optional.ofNullable(values.get("startup-taint")),
                Optional.ofNullable(values.get("issuer")).map(URI::create),
                Optional.ofNullable(values.get("api-server")).map(URI::create),
                Path.of(values.get("service-account-path")),
                Optional.ofNullable(environment.get("NODE_NAME")).filter(name -> !name.isBlank()));
    }

    private static boolean truth(String value) {
        return new Checked.Truth().convert(value);
    }

    /** Returns whether any enabled feature uses the API server. */
    boolean asksApiServer() {
        return verification == VerificationMode.TOKEN_REVIEW
                || verification == VerificationMode.JWKS && issuer.isEmpty()
                || podWatch
                || events
                || startupTaint.isPresent();
    }
}

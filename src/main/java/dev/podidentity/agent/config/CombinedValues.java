package dev.podidentity.agent.config;

import java.util.Optional;
import java.util.Set;

/** Checks whether the values of the configuration are consistent with each other. Pure. */
public final class CombinedValues {

    private static final String LOCALHOST = "localhost";

    private final AgentConfig config;
    private final boolean verified;

    private CombinedValues(AgentConfig config) {
        this.config = config;
        this.verified = config.tokenVerification() != VerificationMode.NONE;
    }

    /**
     * Checks all combinations, and says what to change.
     *
     * @param node the name of this node, if it is known
     * @return a sentence about the first conflict; empty if there is none
     */
    public static Optional<String> problem(AgentConfig config, Optional<String> node) {
        CombinedValues values = new CombinedValues(config);
        return values.ports()
                .or(values::audience)
                .or(values::timeouts)
                .or(values::unverified)
                .or(() -> node.isEmpty() ? values.withoutNode() : Optional.empty())
                .or(values::keysFile);
    }

    private Optional<String> ports() {
        if (config.probePort() != 0 && config.probePort() == config.metricsPort() && ofLocalhost(config.metricsAddress())) {
            return Optional.of("--probe-port and --metrics-port must differ: \"" + config.probePort() + '"');
        }
        for (String host : config.bindHosts()) {
            if (config.port() != 0 && config.port() == config.probePort() && ofLocalhost(host)) {
                return Optional.of("--port and --probe-port must differ: \"" + config.port() + '"');
            }
            if (config.port() != 0 && config.port() == config.metricsPort() && host.equals(config.metricsAddress())) {
                return Optional.of("--port and --metrics-port must differ: \"" + config.port() + '"');
            }
        }
        return Optional.empty();
    }

    /** Returns whether a listener on this host would use the port on localhost, where probes are served. */
    private static boolean ofLocalhost(String host) {
        return Set.of("0.0.0.0", "::", LOCALHOST, "127.0.0.1", "::1").contains(host);
    }

    private Optional<String> audience() {
        return config.endpoint().isPresent() || config.audience().equals(AgentConfig.DEFAULT_AUDIENCE)
                ? Optional.empty()
                : Optional.of("--audience must be " + AgentConfig.DEFAULT_AUDIENCE + " unless --endpoint is given: \""
                        + config.audience() + '"');
    }

    private Optional<String> timeouts() {
        return config.attemptTimeout().compareTo(config.flightTimeout()) <= 0
                ? Optional.empty()
                : Optional.of("--attempt-timeout must not exceed --flight-timeout: \"" + config.attemptTimeout().toMillis()
                        + "ms\"");
    }

    /** Checks for features that require verified tokens. */
    private Optional<String> unverified() {
        if (!verified && config.coalesce().filter(scope -> scope != CoalesceScope.TOKEN).isPresent()) {
            return Optional.of("--coalesce must be token unless --token-verification is jwks or token-review: \""
                    + config.coalesce().get() + '"');
        }
        return !verified && config.events()
                ? Optional.of("--events must be false unless --token-verification is jwks or token-review: \"true\"")
                : Optional.empty();
    }

    private Optional<String> withoutNode() {
        Optional<String> flag = config.podWatch()
                ? Optional.of("--pod-watch")
                : config.startupTaint().map(taint -> "--startup-taint");
        return flag.map(name -> name + " needs the name of this node: set the environment variable NODE_NAME to"
                + " spec.nodeName of the agent's pod");
    }

    private Optional<String> keysFile() {
        return config.keysFile()
                .filter(file -> file.getFileName() == null)
                .map(file -> "--keys-file must be the path of a file: \"" + file + '"');
    }
}

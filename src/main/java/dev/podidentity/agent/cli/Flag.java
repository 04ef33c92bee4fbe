package dev.podidentity.agent.cli;

import dev.podidentity.agent.config.Checked;
import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.config.GoDuration;
import dev.podidentity.agent.config.LogFormat;
import dev.podidentity.agent.config.Verbosity;
import dev.podidentity.agent.config.VerificationMode;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * A flag of {@code server}. Its value becomes the property {@code agent.NAME}, which
 * {@link dev.podidentity.agent.config.AgentConfig} reads; the check is the one that is used there.
 *
 * @param name the long name, without hyphens in front
 * @param letter the short name
 * @param label what {@code --help} calls the value
 * @param check throws {@link IllegalArgumentException} with what is allowed
 * @param shape how often the flag may stand, and whether it may stand without a value
 * @param initial the value without the flag; empty where there is none
 * @param help what {@code --help} says
 */
record Flag(
        String name,
        Optional<String> letter,
        String label,
        Consumer<String> check,
        Shape shape,
        String initial,
        String help) {

    enum Shape {
        ONCE,
        REPEATABLE,
        SWITCH
    }

    /** The reference's flags first, with its names, defaults and units; then those that only this agent has. */
    static final List<Flag> ALL = List.of(
            new Flag("cluster-name", Optional.of("c"), "NAME", new Checked.ClusterName()::convert, Shape.ONCE, "",
                    "Name of the EKS cluster that this node belongs to. Required."),
            one("port", "p", "PORT", new Checked.Port()::convert, "80",
                    "Port on which pods ask for credentials."),
            one("probe-port", "PORT", new Checked.Port()::convert, "2703",
                    "Port on localhost for /healthz and /readyz."),
            one("metrics-address", "HOST", new Checked.Host()::convert, "0.0.0.0",
                    "Address for /metrics, /healthz and /readyz."),
            one("metrics-port", "PORT", new Checked.Port()::convert, "2705",
                    "Port for /metrics, /healthz and /readyz."),
            one("max-credential-retention-before-renewal", "DURATION", GoDuration::parse, "3h",
                    "Age at which credentials are renewed at the latest. 0 turns caching off."),
            one("max-cache-size", "COUNT", new Checked.Count()::convert, "2000",
                    "How many identities the cache holds. 0 turns caching off."),
            one("max-service-qps", "COUNT", new Checked.Count()::convert, "3",
                    "Renewals a second at most; first requests do not count. 0 turns renewal off."),
            new Flag("bind-hosts", Optional.of("b"), "HOST", new Checked.Host()::convert, Shape.REPEATABLE,
                    "169.254.170.23,[fd00:ec2::23]", "Address on which pods ask for credentials. Repeatable."),
            new Flag("rotate-credentials", Optional.empty(), "BOOL", new Checked.Truth()::convert, Shape.SWITCH, "false",
                    "Re-read the shared credentials file every minute."),
            one("endpoint", "URL", Flag::checkEndpoint, "",
                    "URL of EKS Auth, in place of the one that the region gives."),
            one("verbosity", "v", "LEVEL", Verbosity::parse, "info",
                    "How much to log: panic, fatal, error, warn, info, debug or trace."),
            one("log-format", "FORMAT", LogFormat::parse, "json",
                    "How to log: json or text."),
            one("audience", "AUDIENCE", new Checked.Audience()::convert, "pods.eks.amazonaws.com",
                    "Audience that a token must name. May differ only together with --endpoint."),
            new Flag("allowed-hosts", Optional.empty(), "HOST", new Checked.Host()::convert, Shape.REPEATABLE, "",
                    "Host that a request may name beside 169.254.170.23 and fd00:ec2::23. Repeatable."),
            one("request-deadline", "DURATION", new Checked.Timeout()::convert, "900ms",
                    "Time within which every request is answered."),
            one("patient-request-deadline", "DURATION", new Checked.Timeout()::convert, "1900ms",
                    "The same for requests of AWS SDKs that are known to wait for longer than 1 s."),
            one("attempt-timeout", "DURATION", new Checked.Timeout()::convert, "5s",
                    "Time that one call to EKS Auth may take."),
            one("flight-timeout", "DURATION", new Checked.Timeout()::convert, "15s",
                    "Time after which calls for one identity end, unless somebody waits for them."),
            one("max-concurrent-fetches", "COUNT", new Checked.Limit()::convert, "100",
                    "Calls to EKS Auth for waiting pods that may be under way at once."),
            one("source-requests-per-second", "COUNT", new Checked.Count()::convert, "500",
                    "Requests a second that one source address may make for long. 0 turns the limit off."),
            one("source-request-burst", "COUNT", new Checked.Limit()::convert, "1000",
                    "Requests that one source address may make at once."),
            one("max-connections", "COUNT", new Checked.Limit()::convert, "2048",
                    "Connections that are open at once at most."),
            one("max-connections-per-source", "COUNT", new Checked.Limit()::convert, "1024",
                    "Connections that one source address may have open at once."),
            one("header-timeout", "DURATION", new Checked.Timeout()::convert, "10s",
                    "Time within which the headers of a request must be complete."),
            one("idle-timeout", "DURATION", new Checked.Timeout()::convert, "75s",
                    "Time after which a connection with nothing to do is closed."),
            one("bind-retry-interval", "DURATION", new Checked.Timeout()::convert, "5s",
                    "Time between two attempts to bind an address."),
            one("startup-grace", "DURATION", GoDuration::parse, "1m",
                    "Time after start within which the agent is ready without AWS credentials of its own."),
            one("shutdown-timeout", "DURATION", GoDuration::parse, "5s",
                    "Time that requests in flight have to finish when the agent stops."),
            one("token-verification", "MODE", VerificationMode::parse, "none",
                    "Who verifies tokens: none, jwks or token-review."),
            one("coalesce", "SCOPE", CoalesceScope::parse, "",
                    "Who shares credentials: token, pod or role; without it, role where tokens are verified, else token."
                            + " With role, session tags and CloudTrail name the pod that asked first: choose pod if your"
                            + " policies use pod-name or pod-UID session tags."),
            new Flag("pod-watch", Optional.empty(), "BOOL", new Checked.Truth()::convert, Shape.SWITCH, "false",
                    "Watch this node's pods, and drop what a dead one had. Needs NODE_NAME."),
            new Flag("events", Optional.empty(), "BOOL", new Checked.Truth()::convert, Shape.SWITCH, "false",
                    "Put a Kubernetes Event on a pod that gets no credentials for a reason that stays."),
            one("startup-taint", "KEY", new Checked.TaintKey()::convert, "",
                    "Taint to take off this node once the agent serves; a key, or the start of one that ends in /."),
            one("issuer", "URL", new Checked.Issuer()::convert, "",
                    "Issuer of the cluster's tokens, in place of the API server."),
            one("keys-file", "PATH", value -> { }, "",
                    "File that keeps the last good keys for a restart without the API server."),
            one("api-server", "URL", new Checked.ApiServer()::convert, "",
                    "URL of the API server, in place of the one that Kubernetes tells every pod."),
            one("service-account-path", "PATH", value -> { }, "/var/run/secrets/kubernetes.io/serviceaccount",
                    "Directory with the agent's own API token and the API server's certificate authority."));

    private static Flag one(String name, String letter, String label, Consumer<String> check, String initial, String help) {
        return new Flag(name, Optional.of(letter), label, check, Shape.ONCE, initial, help);
    }

    static Flag one(String name, String label, Consumer<String> check, String initial, String help) {
        return new Flag(name, Optional.empty(), label, check, Shape.ONCE, initial, help);
    }

    static Flag toggle(String name, String help) {
        return new Flag(name, Optional.empty(), "BOOL", new Checked.Truth()::convert, Shape.SWITCH, "false", help);
    }

    /** The reference's chart may pass its default, which is empty. */
    private static void checkEndpoint(String value) {
        if (!value.isEmpty()) {
            new Checked.Endpoint().convert(value);
        }
    }

    /** The property that carries the flag's value. */
    String property() {
        return "agent." + name;
    }

    /** The environment variable that has the value where the flag is not given. */
    String variable() {
        return "AGENT_" + name.toUpperCase(Locale.ROOT).replace('-', '_');
    }
}

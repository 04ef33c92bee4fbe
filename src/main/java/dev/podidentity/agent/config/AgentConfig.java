package dev.podidentity.agent.config;

import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithConverter;
import io.smallrye.config.WithDefault;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Everything that can be set about the agent. Each property has a flag of the same name ({@code agent.port} is
 * {@code --port}) and an environment variable ({@code AGENT_PORT}); a flag wins over the variable. Durations are
 * written as in Go: {@code 1h30m}, {@code 90s}, {@code 900ms}, {@code 0}. A flag or property that does not exist, or a
 * value that is not allowed, stops the start with exit code 2. Variables that do not exist are nobody's: a cluster sets
 * {@code AGENT_...} for a Service of the name {@code agent}.
 */
@ConfigMapping(prefix = "agent")
public interface AgentConfig {

    /** Name of the EKS cluster that this node belongs to. Required. */
    @WithConverter(Checked.ClusterName.class)
    String clusterName();

    /** Port on which pods ask for credentials, on every bind host. */
    @WithDefault("80")
    @WithConverter(Checked.Port.class)
    int port();

    /** Port on localhost for {@code /healthz} and {@code /readyz}. */
    @WithDefault("2703")
    @WithConverter(Checked.Port.class)
    int probePort();

    /** Address for {@code /metrics}, {@code /healthz} and {@code /readyz}. */
    @WithDefault("0.0.0.0")
    @WithConverter(Checked.Host.class)
    String metricsAddress();

    /** Port for {@code /metrics}, {@code /healthz} and {@code /readyz} on the metrics address. */
    @WithDefault("2705")
    @WithConverter(Checked.Port.class)
    int metricsPort();

    /**
     * Age at which credentials are renewed, if two thirds of their lifetime are not over sooner. 0 turns caching off:
     * every request then asks EKS Auth, though concurrent ones still share a call.
     */
    @WithDefault("3h")
    @WithConverter(GoDuration.class)
    Duration maxCredentialRetentionBeforeRenewal();

    /** How many identities the cache holds; the least recently used one goes first. 0 turns caching off. */
    @WithDefault("2000")
    @WithConverter(Checked.Count.class)
    int maxCacheSize();

    /** Renewals a second at most. First requests of a pod do not count and never wait for one. 0 turns renewal off. */
    @WithDefault("3")
    @WithConverter(Checked.Count.class)
    int maxServiceQps();

    /** Addresses on which pods ask for credentials. Each is bound, fails and is retried alone. Repeatable. */
    @WithDefault("169.254.170.23,[fd00:ec2::23]")
    List<@WithConverter(Checked.Host.class) String> bindHosts();

    /** Re-read the shared credentials file every minute, so that rotated keys are used with no restart. */
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean rotateCredentials();

    /** URL of EKS Auth, in place of the one that the region and the environment give. */
    @WithConverter(Checked.Endpoint.class)
    Optional<URI> endpoint();

    /** How much to log: panic, fatal, error, warn, info, debug or trace. */
    @WithDefault("info")
    @WithConverter(Verbosity.Reader.class)
    Verbosity verbosity();

    /** How to log: json or text. */
    @WithDefault("json")
    @WithConverter(LogFormat.Reader.class)
    LogFormat logFormat();

    /** Audience that a token must name. May differ from the default only together with an endpoint. */
    @WithDefault(DEFAULT_AUDIENCE)
    @WithConverter(Checked.Audience.class)
    String audience();

    /** Hosts that a request may name in its Host header beside 169.254.170.23 and fd00:ec2::23. Repeatable. */
    Optional<List<@WithConverter(Checked.Host.class) String>> allowedHosts();

    /** Time within which every request is answered, whatever EKS Auth does. Some AWS SDKs give up after 1 s. */
    @WithDefault("900ms")
    @WithConverter(Checked.Timeout.class)
    Duration requestDeadline();

    /**
     * The same for requests of AWS SDKs that wait longer: botocore gives up after 2 s, the others later or never. Not less than
     * the request deadline, whatever is given.
     */
    @WithDefault("1900ms")
    @WithConverter(Checked.Timeout.class)
    Duration patientRequestDeadline();

    /** Time that one call to EKS Auth may take. */
    @WithDefault("5s")
    @WithConverter(Checked.Timeout.class)
    Duration attemptTimeout();

    /** Time after which the calls for one identity end, with the pauses between them, unless somebody waits for them. */
    @WithDefault("15s")
    @WithConverter(Checked.Timeout.class)
    Duration flightTimeout();

    /** Calls to EKS Auth for waiting pods that may be under way at once; further ones queue, fairly by source. */
    @WithDefault("100")
    @WithConverter(Checked.Limit.class)
    int maxConcurrentFetches();

    /** Requests a second that one source address may make for long. 0 turns the limit off. */
    @WithDefault("500")
    @WithConverter(Checked.Count.class)
    int sourceRequestsPerSecond();

    /** Requests that one source address may make at once. */
    @WithDefault("1000")
    @WithConverter(Checked.Limit.class)
    int sourceRequestBurst();

    /** Connections that are open at once at most, on all bind hosts together. */
    @WithDefault("2048")
    @WithConverter(Checked.Limit.class)
    int maxConnections();

    /** Connections that one source address may have open at once. */
    @WithDefault("1024")
    @WithConverter(Checked.Limit.class)
    int maxConnectionsPerSource();

    /** Time within which the headers of a request must be complete. */
    @WithDefault("10s")
    @WithConverter(Checked.Timeout.class)
    Duration headerTimeout();

    /** Time after which a connection with nothing to do is closed. */
    @WithDefault("75s")
    @WithConverter(Checked.Timeout.class)
    Duration idleTimeout();

    /** Time between two attempts to bind an address that could not be bound. */
    @WithDefault("5s")
    @WithConverter(Checked.Timeout.class)
    Duration bindRetryInterval();

    /** Time after start within which the agent is ready though it has no AWS credentials of its own yet. */
    @WithDefault("1m")
    @WithConverter(GoDuration.class)
    Duration startupGrace();

    /**
     * Time that requests in flight have to finish when the agent is told to stop; where another agent takes over,
     * connections that are kept open have it for one more request, too.
     */
    @WithDefault("5s")
    @WithConverter(GoDuration.class)
    Duration shutdownTimeout();

    /** Who verifies tokens: none, jwks (the agent, with the cluster's keys) or token-review (the API server). */
    @WithDefault("none")
    @WithConverter(VerificationMode.Reader.class)
    VerificationMode tokenVerification();

    /**
     * Who shares credentials and the call that fetches them: token, pod or role (all pods of a service account on this
     * node). With role, session tags and CloudTrail name the pod that asked first: whose policies use the tags of pod
     * names or pod UIDs must choose pod. The default is role where tokens are verified, and token where not.
     */
    @WithConverter(CoalesceScope.Reader.class)
    Optional<CoalesceScope> coalesce();

    /** Watch the pods of this node: what a dead pod had is dropped at once, and never renewed. Needs NODE_NAME. */
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean podWatch();

    /** Put a Kubernetes Event on a pod that gets no credentials until somebody changes something. */
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean events();

    /** Taint to take off this node once the agent serves: a key, or the start of one that ends in /. Needs NODE_NAME. */
    @WithConverter(Checked.TaintKey.class)
    Optional<String> startupTaint();

    /** Issuer of the cluster's tokens, whose discovery document names the keys. Without it, they are the API server's. */
    @WithConverter(Checked.Issuer.class)
    Optional<URI> issuer();

    /** File that keeps the last good keys for a restart without the API server. */
    Optional<Path> keysFile();

    /** URL of the API server, in place of the one that Kubernetes tells every pod. */
    @WithConverter(Checked.ApiServer.class)
    Optional<URI> apiServer();

    /** Directory with the agent's own API token (token) and the API server's certificate authority (ca.crt). */
    @WithDefault("/var/run/secrets/kubernetes.io/serviceaccount")
    Path serviceAccountPath();

    /** The audience of the tokens that EKS Pod Identity mounts into pods. */
    String DEFAULT_AUDIENCE = "pods.eks.amazonaws.com";
}

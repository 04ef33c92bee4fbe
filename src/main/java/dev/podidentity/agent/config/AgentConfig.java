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
 * The configuration of the agent. The command line takes the default and the description of each flag from here. Each
 * property has a flag of the same name ({@code agent.port} is {@code --port}) and an environment variable
 * ({@code AGENT_PORT}); a flag overrides the variable. Durations use Go's format: {@code 1h30m}, {@code 90s},
 * {@code 900ms}, {@code 0}. An unknown flag or property, or a value that is not allowed, stops the start with exit code 2.
 * Unknown {@code AGENT_...} variables are ignored, because Kubernetes sets such variables for a Service named {@code agent}.
 */
@ConfigMapping(prefix = "agent")
public interface AgentConfig {

    @Description("Name of the EKS cluster that this node belongs to. Required.")
    @WithConverter(Checked.ClusterName.class)
    String clusterName();

    @Description("Port on which pods ask for credentials, on every bind host.")
    @WithDefault("80")
    @WithConverter(Checked.Port.class)
    int port();

    @Description("Port on localhost for /healthz, /readyz and /debug.")
    @WithDefault("2703")
    @WithConverter(Checked.Port.class)
    int probePort();

    @Description("Address that serves /metrics, /healthz and /readyz.")
    @WithDefault("0.0.0.0")
    @WithConverter(Checked.Host.class)
    String metricsAddress();

    @Description("Port on the metrics address for /metrics, /healthz and /readyz.")
    @WithDefault("2705")
    @WithConverter(Checked.Port.class)
    int metricsPort();

    @Description("Age at which cached credentials are renewed, unless two thirds of their lifetime have passed "
            + "earlier. 0 turns off caching: every request then calls EKS Auth, although concurrent requests still "
            + "share a call.")
    @WithDefault("3h")
    @WithConverter(GoDuration.class)
    Duration maxCredentialRetentionBeforeRenewal();

    @Description("Maximum number of identities in the cache. The least recently used identity is evicted first. 0 "
            + "turns off caching.")
    @WithDefault("2000")
    @WithConverter(Checked.Count.class)
    int maxCacheSize();

    @Description("Maximum number of renewals per second. The first request of a pod does not count and never waits for "
            + "a renewal. 0 turns off renewal.")
    @WithDefault("3")
    @WithConverter(Checked.Count.class)
    int maxServiceQps();

    @Description("Addresses on which pods ask for credentials. The agent binds each one independently, and retries "
            + "only those that fail. Repeatable.")
    @WithDefault("169.254.170.23,[fd00:ec2::23]")
    List<@WithConverter(Checked.Host.class) String> bindHosts();

    @Description("Read the shared credentials file again every minute, so that rotated keys take effect without a restart.")
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean rotateCredentials();

    @Description("URL of EKS Auth. Overrides the endpoint that follows from the region and the environment.")
    @WithConverter(Checked.Endpoint.class)
    Optional<URI> endpoint();

    @Description("Log level: panic, fatal, error, warn, info, debug or trace.")
    @WithDefault("info")
    @WithConverter(Verbosity.Reader.class)
    Verbosity verbosity();

    @Description("Log format: json or text.")
    @WithDefault("json")
    @WithConverter(LogFormat.Reader.class)
    LogFormat logFormat();

    @Description("Audience that a token must name. Can differ from the default only together with --endpoint.")
    @WithDefault(DEFAULT_AUDIENCE)
    @WithConverter(Checked.Audience.class)
    String audience();

    @Description("Hosts that the Host header of a request may name, in addition to 169.254.170.23 and fd00:ec2::23. "
            + "Repeatable.")
    Optional<List<@WithConverter(Checked.Host.class) String>> allowedHosts();

    @Description("Time within which every request gets a response, even if EKS Auth has not responded. Some AWS SDKs "
            + "give up after 1 s.")
    @WithDefault("900ms")
    @WithConverter(Checked.Timeout.class)
    Duration requestDeadline();

    @Description("Request deadline for AWS SDKs that are known to wait longer: botocore (2 s), Go, Rust and JavaScript "
            + "v3. The agent recognizes them by their request headers. Never shorter than --request-deadline, "
            + "whatever is given.")
    @WithDefault("1900ms")
    @WithConverter(Checked.Timeout.class)
    Duration patientRequestDeadline();

    @Description("Timeout of one call to EKS Auth.")
    @WithDefault("5s")
    @WithConverter(Checked.Timeout.class)
    Duration attemptTimeout();

    @Description("Time after which the agent stops retrying the call for an identity, unless a request still waits for "
            + "it. A single call that has hung for this long ends as well.")
    @WithDefault("15s")
    @WithConverter(Checked.Timeout.class)
    Duration flightTimeout();

    @Description("Maximum number of concurrent calls to EKS Auth for waiting pods. Further calls queue, and the queue "
            + "is fair to each source address.")
    @WithDefault("100")
    @WithConverter(Checked.Limit.class)
    int maxConcurrentFetches();

    @Description("Maximum sustained rate of requests from one source address, per second. 0 turns off the limit.")
    @WithDefault("500")
    @WithConverter(Checked.Count.class)
    int sourceRequestsPerSecond();

    @Description("Maximum number of requests that one source address may send in a burst.")
    @WithDefault("1000")
    @WithConverter(Checked.Limit.class)
    int sourceRequestBurst();

    @Description("Maximum number of open connections, on all bind hosts together.")
    @WithDefault("2048")
    @WithConverter(Checked.Limit.class)
    int maxConnections();

    @Description("Maximum number of open connections from one source address.")
    @WithDefault("1024")
    @WithConverter(Checked.Limit.class)
    int maxConnectionsPerSource();

    @Description("Time within which a client must send the complete headers of a request.")
    @WithDefault("10s")
    @WithConverter(Checked.Timeout.class)
    Duration headerTimeout();

    @Description("Time after which an idle connection is closed.")
    @WithDefault("75s")
    @WithConverter(Checked.Timeout.class)
    Duration idleTimeout();

    @Description("Interval between attempts to bind an address that could not be bound.")
    @WithDefault("5s")
    @WithConverter(Checked.Timeout.class)
    Duration bindRetryInterval();

    @Description("Grace period after the start during which the agent reports ready without AWS credentials of its own.")
    @WithDefault("1m")
    @WithConverter(GoDuration.class)
    Duration startupGrace();

    @Description("Time that requests in flight have to finish at shutdown. If another agent takes over, connections "
            + "that are kept open may send one more request within this time.")
    @WithDefault("5s")
    @WithConverter(GoDuration.class)
    Duration shutdownTimeout();

    @Description("Who verifies tokens before the agent trusts them: none, jwks (the agent, with the cluster's signing "
            + "keys) or token-review (the API server).")
    @WithDefault("none")
    @WithConverter(VerificationMode.Reader.class)
    VerificationMode tokenVerification();

    @Description("Which requests share credentials and the call that fetches them: those of the same token, pod or "
            + "role (all pods of a service account on this node). With role, session tags and CloudTrail name the "
            + "pod that asked first: choose pod if your policies use the tags for the pod's name or UID. The "
            + "default is role if tokens are verified, and token otherwise.")
    @WithConverter(CoalesceScope.Reader.class)
    Optional<CoalesceScope> coalesce();

    @Description("Watch the pods of this node. The credentials of a deleted pod are dropped immediately and never "
            + "renewed. Needs NODE_NAME.")
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean podWatch();

    @Description("Record a Kubernetes Event on a pod that cannot get credentials, if a retry will not fix it.")
    @WithDefault("false")
    @WithConverter(Checked.Truth.class)
    boolean events();

    @Description("Taint to remove from this node once the agent serves credentials: a key, or a prefix of keys that "
            + "ends in a slash. Needs NODE_NAME.")
    @WithConverter(Checked.TaintKey.class)
    Optional<String> startupTaint();

    @Description("Issuer of the cluster's tokens. Its discovery document names the signing keys. Without this flag, "
            + "the agent fetches them from the API server.")
    @WithConverter(Checked.Issuer.class)
    Optional<URI> issuer();

    @Description("File that stores the last good signing keys, so that the agent can restart while the API server is "
            + "unreachable.")
    Optional<Path> keysFile();

    @Description("URL of the API server. Overrides the address that Kubernetes gives to every pod.")
    @WithConverter(Checked.ApiServer.class)
    Optional<URI> apiServer();

    @Description("Directory that holds the agent's own API token (token) and the CA certificate of the API server (ca.crt).")
    @WithDefault("/var/run/secrets/kubernetes.io/serviceaccount")
    Path serviceAccountPath();

    /** Audience of the tokens that EKS Pod Identity mounts into pods. */
    String DEFAULT_AUDIENCE = "pods.eks.amazonaws.com";
}

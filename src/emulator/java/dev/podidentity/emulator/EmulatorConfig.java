package dev.podidentity.emulator;

import java.io.InputStream;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The configuration of the emulator.
 *
 * @param port the port on 127.0.0.1; 0 for any free port
 * @param clusterName the name of its only cluster
 * @param region the region for which calls must be signed
 * @param audience the audience that tokens must have
 * @param credentialLifetime the lifetime of issued credentials
 * @param nodeAccessKeyId the access key ID that must sign calls
 * @param nodeSecretAccessKey the secret key that must sign calls
 * @param nodeSessionToken the session token of calls; if empty, calls must not have one
 * @param associations the initial associations
 */
public record EmulatorConfig(
        int port,
        String clusterName,
        String region,
        String audience,
        Duration credentialLifetime,
        String nodeAccessKeyId,
        String nodeSecretAccessKey,
        Optional<String> nodeSessionToken,
        List<Association> associations) {

    public EmulatorConfig {
        require(port >= 0 && port <= 65535, "port must be from 0 to 65535", port);
        require(clusterName.matches("[0-9A-Za-z][-\\w]{0,99}"),
                "clusterName must be the name of a cluster", clusterName);
        require(region.matches("[a-z][-a-z0-9]+"), "region must be the name of a region", region);
        require(!audience.isBlank(), "audience must not be blank", audience);
        require(!credentialLifetime.isNegative() && !credentialLifetime.isZero(),
                "credentialLifetime must be positive", credentialLifetime);
        require(nodeAccessKeyId.matches("\\w+"), "nodeAccessKeyId must be letters, digits or _", nodeAccessKeyId);
        if (nodeSecretAccessKey.isBlank()) {
            throw new IllegalArgumentException("nodeSecretAccessKey must not be blank");
        }
        associations = List.copyOf(associations);
        Set<String> serviceAccounts = new HashSet<>();
        for (Association association : associations) {
            String serviceAccount = association.namespace() + "/" + association.serviceAccount();
            require(serviceAccounts.add(serviceAccount),
                    "associations must name a service account only once", serviceAccount);
        }
    }

    /**
     * Returns the configuration of a cluster {@code demo} in us-west-2, without associations, on any free port. The keys are
     * fictitious.
     */
    public static EmulatorConfig defaults() {
        return new EmulatorConfig(
                0,
                "demo",
                "us-west-2",
                "pods.eks.amazonaws.com",
                Duration.ofHours(6),
                "AKIDEXAMPLE00000NODE",
                "emulated-node-secret-access-key-EXAMPLE0",
                Optional.empty(),
                List.of());
    }

    /**
     * Reads {@code cluster}, {@code region}, {@code audience}, {@code credentialLifetime} ({@code 6h} or {@code PT6H}) and
     * {@code associations} from YAML; missing values are as in {@link #defaults()}.
     *
     * @throws IllegalArgumentException if a value is invalid; the message names the field
     */
    public static EmulatorConfig load(InputStream yaml) {
        return EmulatorYaml.read(yaml);
    }

    public EmulatorConfig withPort(int value) {
        return new EmulatorConfig(value, clusterName, region, audience, credentialLifetime, nodeAccessKeyId,
                nodeSecretAccessKey, nodeSessionToken, associations);
    }

    public EmulatorConfig withClusterName(String value) {
        return new EmulatorConfig(port, value, region, audience, credentialLifetime, nodeAccessKeyId,
                nodeSecretAccessKey, nodeSessionToken, associations);
    }

    public EmulatorConfig withRegion(String value) {
        return new EmulatorConfig(port, clusterName, value, audience, credentialLifetime, nodeAccessKeyId,
                nodeSecretAccessKey, nodeSessionToken, associations);
    }

    public EmulatorConfig withAudience(String value) {
        return new EmulatorConfig(port, clusterName, region, value, credentialLifetime, nodeAccessKeyId,
                nodeSecretAccessKey, nodeSessionToken, associations);
    }

    public EmulatorConfig withCredentialLifetime(Duration value) {
        return new EmulatorConfig(port, clusterName, region, audience, value, nodeAccessKeyId, nodeSecretAccessKey,
                nodeSessionToken, associations);
    }

    public EmulatorConfig withNodeCredentials(String accessKeyId, String secretAccessKey, Optional<String> session) {
        return new EmulatorConfig(port, clusterName, region, audience, credentialLifetime, accessKeyId,
                secretAccessKey, session, associations);
    }

    public EmulatorConfig withAssociations(List<Association> value) {
        return new EmulatorConfig(port, clusterName, region, audience, credentialLifetime, nodeAccessKeyId,
                nodeSecretAccessKey, nodeSessionToken, value);
    }

    /** Omits the secrets: the demo may take real ones from the environment. */
    @Override
    public String toString() {
        return "EmulatorConfig[port=" + port + ", clusterName=" + clusterName + ", region=" + region + ", audience="
                + audience + ", credentialLifetime=" + credentialLifetime + ", associations=" + associations + ']';
    }

    private static void require(boolean holds, String rule, Object value) {
        if (!holds) {
            throw new IllegalArgumentException(rule + ": " + value);
        }
    }
}

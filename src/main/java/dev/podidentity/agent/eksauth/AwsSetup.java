package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.outbound.ProxyEnvironment;
import dev.podidentity.agent.outbound.TrustRoots;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.regions.providers.AwsProfileRegionProvider;
import software.amazon.awssdk.regions.providers.InstanceProfileRegionProvider;
import software.amazon.awssdk.regions.providers.SystemSettingsRegionProvider;
import software.amazon.awssdk.services.eksauth.endpoints.EksAuthEndpointProvider;

/**
 * Reports what the agent would take from the environment, the shared files and IMDS, and from which of these sources. The
 * order is the agent's own. Blocks.
 */
public final class AwsSetup {

    private static final String ENVIRONMENT = "the environment";
    private static final String FILES = "the shared config and credentials files";
    private static final String IMDS = "IMDSv2";

    private AwsSetup() {}

    /** Looks for the region. */
    public static Sourced<Region> region() {
        return first(List.of(
                new Source<>(ENVIRONMENT, () -> new SystemSettingsRegionProvider().getRegion()),
                new Source<>(FILES, () -> new AwsProfileRegionProvider().getRegion()),
                new Source<>(IMDS, () -> new InstanceProfileRegionProvider().getRegion())));
    }

    /** Looks for the credentials, which are a secret. */
    public static Sourced<AwsCredentials> credentials() {
        return first(List.of(
                new Source<>(ENVIRONMENT, () -> resolved(EnvironmentVariableCredentialsProvider.create())),
                new Source<>(FILES, () -> resolved(ProfileCredentialsProvider.create())),
                new Source<>(IMDS, () -> resolved(ImdsCredentials.ofThisNode(Clock.systemUTC())))));
    }

    private static AwsCredentials resolved(AwsCredentialsProvider provider) {
        return provider.resolveCredentials();
    }

    private static <T> Sourced<T> first(List<Source<T>> sources) {
        List<String> without = new ArrayList<>();
        for (Source<T> source : sources) {
            try {
                T value = source.value.get();
                if (value != null) {
                    return new Sourced<>(Optional.of(value), source.name, without);
                }
                without.add(source.name);
            } catch (RuntimeException e) {
                // A malformed file causes whatever its parser throws, not only an SdkException.
                without.add(source.name);
            }
        }
        return new Sourced<>(Optional.empty(), "", without);
    }

    /**
     * Returns how EKS Auth would be called.
     *
     * @throws IllegalArgumentException if the settings are contradictory or unusable; the message says what to do
     */
    public static Target eksAuth(Region region, Optional<URI> configured, Map<String, String> environment) {
        EksAuthSettings settings = EksAuthSettings.of("any", configured, Duration.ofSeconds(1), 1, environment);
        return new Target(
                endpoint(region, settings), settings.endpoint().isPresent(), settings.proxies(), settings.trust().isPresent());
    }

    static URI endpoint(Region region, EksAuthSettings settings) {
        return EksAuthEndpointProvider.defaultProvider()
                .resolveEndpoint(parameters -> parameters
                        .region(region)
                        .useFips(settings.fips())
                        .endpoint(settings.endpoint().map(URI::toString).orElse(null)))
                .join()
                .url();
    }

    /**
     * The endpoint of EKS Auth, and how it is reached.
     *
     * @param custom whether the URL is not the region's own
     * @param ownTrust whether the certificate authorities of {@link TrustRoots} replace the platform's
     */
    public record Target(URI url, boolean custom, ProxyEnvironment proxies, boolean ownTrust) {}

    /**
     * A setting and its source.
     *
     * @param source where it was found, as part of a sentence; empty if it was not found
     * @param without the sources of higher precedence, which lack the setting or cannot be read
     */
    public record Sourced<T>(Optional<T> value, String source, List<String> without) {

        /** Omits the value, which may be secret. */
        @Override
        public String toString() {
            return "Sourced[" + source + "]";
        }
    }

    private record Source<T>(String name, Supplier<T> value) {}
}

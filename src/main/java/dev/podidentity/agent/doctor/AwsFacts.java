package dev.podidentity.agent.doctor;

import dev.podidentity.agent.eksauth.AwsSetup;
import dev.podidentity.agent.eksauth.AwsSetup.Sourced;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.regions.Region;

/** The region and the credentials that several checks need, looked up once, at the first use. Confined to one thread. */
final class AwsFacts {

    private final Supplier<Sourced<Region>> findRegion;
    private final Supplier<Sourced<AwsCredentials>> findCredentials;
    private Optional<Sourced<Region>> region = Optional.empty();
    private Optional<Sourced<AwsCredentials>> credentials = Optional.empty();

    AwsFacts() {
        this(AwsSetup::region, AwsSetup::credentials);
    }

    AwsFacts(Supplier<Sourced<Region>> findRegion, Supplier<Sourced<AwsCredentials>> findCredentials) {
        this.findRegion = findRegion;
        this.findCredentials = findCredentials;
    }

    Sourced<Region> region() {
        region = region.or(() -> Optional.of(findRegion.get()));
        return region.get();
    }

    /** The credentials are a secret. */
    Sourced<AwsCredentials> credentials() {
        credentials = credentials.or(() -> Optional.of(findCredentials.get()));
        return credentials.get();
    }
}

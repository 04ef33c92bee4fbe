package dev.podidentity.agent.credentials;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.TokenFingerprint;
import dev.podidentity.agent.token.Validity;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.UUID;

/** Builds tokens. Two tokens with the same text are the same token, whatever they claim. */
final class TokenBuilder {

    private final String raw;
    private Instant expiresAt = FakeTime.START.plus(Duration.ofHours(24));
    private WorkloadClaims claims = new WorkloadClaims("namespace", "account", "pod", "pod-uid", "");

    private TokenBuilder(String raw) {
        this.raw = raw;
    }

    static TokenBuilder of(String raw) {
        return new TokenBuilder(raw);
    }

    static ServiceAccountToken token(String raw) {
        return of(raw).build();
    }

    /** Returns a caller whose token is not verified, because verification is off. */
    static Caller unverified(ServiceAccountToken token) {
        return Caller.of(token, new NotVerified(NotVerified.Reason.OFF), CoalesceScope.TOKEN);
    }

    TokenBuilder claiming(WorkloadClaims claimed) {
        claims = claimed;
        return this;
    }

    TokenBuilder expiringAt(Instant instant) {
        expiresAt = instant;
        return this;
    }

    ServiceAccountToken build() {
        UUID name = UUID.nameUUIDFromBytes(raw.getBytes(StandardCharsets.UTF_8));
        TokenFingerprint fingerprint = new TokenFingerprint(
                name.getMostSignificantBits(), name.getLeastSignificantBits(), raw.length(), raw.hashCode());
        return new ServiceAccountToken(raw, fingerprint, Validity.until(expiresAt), claims);
    }
}

package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.TokenFingerprint;
import dev.podidentity.agent.token.Validity;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class VerificationRoomTest {

    private static final int USUAL = 1_500;
    private static final int LONG = 8 * 1024;

    private final VerificationRoom room = new VerificationRoom();

    @Test
    void hasRoomFor256TokensOfUsualSizeFromASource() {
        assertThat(entered("10.0.0.1", USUAL, 300)).isEqualTo(256);
        assertThat(entered("10.0.0.2", USUAL, 1)).isEqualTo(1);
    }

    @Test
    void hasRoomForHalfAMebibyteFromASource() {
        assertThat(entered("10.0.0.1", LONG, 300)).isEqualTo(64);
    }

    @Test
    void keepsRoomForEachSourceThoughOthersHaveTakenAll() {
        // Given
        for (int source = 1; source <= 4; source++) {
            assertThat(entered("10.0.0." + source, LONG, 100)).isEqualTo(64);
        }

        // Then
        assertThat(entered("10.0.1.1", USUAL, 100)).isEqualTo(2);
        assertThat(entered("10.0.1.2", 4 * 1024, 100)).isEqualTo(1);
    }

    @Test
    void hasRoomAgainOnceATokenHasLeft() {
        // Given
        entered("10.0.0.1", LONG, 64);

        // When
        room.leave("10.0.0.1", token(LONG));

        // Then
        assertThat(entered("10.0.0.1", LONG, 10)).isEqualTo(1);
    }

    private int entered(String source, int length, int tokens) {
        int entered = 0;
        for (int i = 0; i < tokens; i++) {
            entered += room.enter(source, token(length)) ? 1 : 0;
        }
        return entered;
    }

    private static ServiceAccountToken token(int length) {
        String raw = "x".repeat(length);
        return new ServiceAccountToken(raw, TokenFingerprint.of(raw), Validity.until(Instant.MAX),
                new WorkloadClaims("", "", "", "", ""));
    }
}

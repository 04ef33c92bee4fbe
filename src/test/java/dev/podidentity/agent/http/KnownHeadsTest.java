package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class KnownHeadsTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final ServiceAccountToken TOKEN = Tokens.read(NOW, "cart-0");
    private static final ServiceAccountToken LONGER = Tokens.read(NOW, "a-pod-with-a-much-longer-name-than-the-other");

    private final KnownHeads heads = new KnownHeads();

    @Test
    void findsAHeadWithAnotherToken() {
        learn("A: ", "\r\n\r\n", true);

        KnownHeads.KnownHead found = find("A: ", LONGER.raw(), "\r\n\r\n");

        assertThat(found.last()).isTrue();
        assertThat(found.before()).asString(StandardCharsets.US_ASCII).isEqualTo("A: ");
        assertThat(found.after()).asString(StandardCharsets.US_ASCII).isEqualTo("\r\n\r\n");
    }

    @Test
    void findsNothingWhereAByteDiffersOrNoTokenIsLeft() {
        learn("A: ", "\r\n\r\n", false);

        assertThat(find("B: ", TOKEN.raw(), "\r\n\r\n")).isNull();
        assertThat(find("A: ", TOKEN.raw(), "\r\n\n\n")).isNull();
        assertThat(find("A: ", "", "\r\n\r\n")).isNull();
        assertThat(find("", "", "")).isNull();
    }

    @Test
    void doesNotLearnAHeadInWhichTheTokenIsTwiceOrNotAtAll() {
        learn("GET /?" + TOKEN.raw() + " A: ", "\r\n\r\n", false);
        byte[] without = bytes("A: something-else\r\n\r\n");
        heads.learn(without, without.length, TOKEN, false);

        assertThat(find("GET /?" + TOKEN.raw() + " A: ", TOKEN.raw(), "\r\n\r\n")).isNull();
        assertThat(heads.find(without, without.length)).isNull();
    }

    @Test
    void keepsHeadsOfUsualLengthOnly() {
        String most = "x".repeat(KnownHeads.LONGEST);
        String more = "y".repeat(KnownHeads.LONGEST + 1);
        learn(more, "", false);
        learn(most, "", false);

        assertThat(find(more, TOKEN.raw(), "")).isNull();
        assertThat(find(most, TOKEN.raw(), "")).isNotNull();
    }

    @Test
    void forgetsTheHeadThatWasFoundLeastRecently() {
        for (int i = 0; i < KnownHeads.MOST; i++) {
            learn("head-" + i + ": ", "\r\n", false);
        }
        assertThat(find("head-0: ", TOKEN.raw(), "\r\n")).isNotNull();

        learn("one more: ", "\r\n", false);

        assertThat(find("head-1: ", TOKEN.raw(), "\r\n")).isNull();
        assertThat(find("head-0: ", TOKEN.raw(), "\r\n")).isNotNull();
        assertThat(find("one more: ", TOKEN.raw(), "\r\n")).isNotNull();
    }

    private void learn(String before, String after, boolean last) {
        byte[] head = bytes(before + TOKEN.raw() + after);
        heads.learn(head, head.length, TOKEN, last);
    }

    private KnownHeads.KnownHead find(String before, String token, String after) {
        byte[] head = bytes(before + token + after);
        return heads.find(head, head.length);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}

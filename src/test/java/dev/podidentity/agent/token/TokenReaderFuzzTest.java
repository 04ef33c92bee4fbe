package dev.podidentity.agent.token;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.TokenReader.Reading;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;

/** Whatever a pod sends as its token, the reader returns a result. */
class TokenReaderFuzzTest {

    private static final TokenReader READER =
            new TokenReader(Tokens.AUDIENCE, Clock.fixed(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC));
    private static final int LONGEST_MESSAGE = 500;
    /** A shorter text may occur in a message by chance, such as "a". */
    private static final int TELLING = 32;

    /** The header as the HTTP decoder returns it: one character for each byte. */
    @FuzzTest(maxDuration = "60s")
    void readsAnyHeader(byte[] header) {
        check(new String(header, StandardCharsets.ISO_8859_1));
    }

    /** Inside a compact JWT, so that not every input fails at the base64. A zero byte separates header and claims. */
    @FuzzTest(maxDuration = "60s")
    void readsAnyJson(byte[] input) {
        String[] parts = new String(input, StandardCharsets.ISO_8859_1).split("\u0000", 2);
        byte[] header = parts[0].getBytes(StandardCharsets.ISO_8859_1);
        byte[] claims = parts[parts.length - 1].getBytes(StandardCharsets.ISO_8859_1);
        check(Tokens.base64(header) + '.' + Tokens.base64(claims) + ".c2ln");
    }

    private static void check(String value) {
        Reading reading = READER.read(List.of(value));

        if (reading instanceof RejectedToken rejected) {
            assertThat(rejected.message()).isNotBlank().hasSizeLessThanOrEqualTo(LONGEST_MESSAGE);
            assertHides(rejected.message(), value);
        } else if (reading instanceof ServiceAccountToken token) {
            assertThat(token.raw()).isNotEmpty();
            assertThat(value).contains(token.raw());
            assertHides(token.toString(), token.raw());
            assertThat(token.claims().toString().chars()).noneMatch(c -> c < ' ' || c == 0x7f);
        }
    }

    private static void assertHides(String shown, String secret) {
        if (secret.strip().length() >= TELLING) {
            assertThat(shown).doesNotContain(secret.strip());
        }
    }
}

package dev.podidentity.agent.verification;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.verification.KeySource.PublishedKeys;
import java.nio.charset.StandardCharsets;

/** Whatever is published as keys, it is parsed, or fails with the defined exception. */
class VerificationKeysFuzzTest {

    @FuzzTest(maxDuration = "60s")
    void readsAnyKeys(byte[] input) {
        check(new String(input, StandardCharsets.UTF_8));
    }

    /** The members of one key, so that not every input fails at the array. */
    @FuzzTest(maxDuration = "60s")
    void readsAnyKey(byte[] input) {
        check("{\"keys\":[{\"kid\":\"k\"," + new String(input, StandardCharsets.UTF_8) + "}]}");
    }

    private static void check(String jwks) {
        try {
            VerificationKeys keys = VerificationKeys.read(new PublishedKeys("https://issuer", jwks));
            assertThat(keys.size()).isPositive();
            assertThat(keys.byId().values()).allSatisfy(named -> assertThat(named).isNotEmpty()
                    .allSatisfy(key -> assertThat(key.algorithms()).isNotEmpty()));
        } catch (CallFailure e) {
            assertThat(e.getMessage()).isNotBlank().hasSizeLessThan(500);
        }
    }
}

package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static dev.podidentity.agent.credentials.TokenBuilder.unverified;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TokenIndexTest {

    private final TokenIndex index = new TokenIndex(7);

    @Test
    void findsATokenAmongOtherBytes() {
        Caller caller = unverified(token("header.claims.signature"));
        index.held(caller);
        byte[] request = "Authorization: header.claims.signature\r\n".getBytes(StandardCharsets.US_ASCII);

        assertThat(index.find(request, 15, request.length - 2)).isSameAs(caller);
        assertThat(index.find(request, 15, request.length - 3)).isNull();
        assertThat(index.find(request, 14, request.length - 2)).isNull();
    }

    @Test
    void tellsApartTokensWithTheSameSignature() {
        // Given: two tokens whose hashed part is the same
        String signature = "s".repeat(86);
        Caller one = unverified(token("header.one." + signature));
        Caller two = unverified(token("header.two." + signature));
        index.held(one);
        // Then
        assertThat(find("header.two." + signature)).isNull();
        // When
        index.held(two);
        // Then
        assertThat(find("header.one." + signature)).isSameAs(one);
        assertThat(find("header.two." + signature)).isSameAs(two);
        // When
        index.dropped(one);
        // Then
        assertThat(find("header.one." + signature)).isNull();
        assertThat(find("header.two." + signature)).isSameAs(two);
    }

    @Test
    void keepsTheListingOfTheEntryThatHeldATokenLast() {
        // Given
        Caller first = unverified(token("a"));
        Caller second = unverified(token("a"));
        index.held(first);
        index.held(second);
        // When
        index.dropped(first);
        // Then
        assertThat(find("a")).isSameAs(second);
        assertThat(index.size()).isOne();
    }

    @Test
    void findsWhatAMapWouldFind() {
        Random random = new Random(3);
        Map<String, Caller> expected = new HashMap<>();
        List<String> names = new ArrayList<>();
        for (int i = 0; i < 3000; i++) {
            names.add("token-" + Integer.toString(i, 36).repeat(1 + i % 40));
        }
        for (int step = 0; step < 20_000; step++) {
            String name = names.get(random.nextInt(names.size()));
            if (random.nextInt(3) > 0) {
                Caller caller = unverified(token(name));
                index.held(caller);
                expected.put(name, caller);
            } else if (expected.containsKey(name)) {
                index.dropped(expected.remove(name));
            }
            assertThat(index.size()).isEqualTo(expected.size());
        }
        assertThat(names).allSatisfy(name -> assertThat(find(name)).isSameAs(expected.get(name)));
    }

    private Caller find(String token) {
        byte[] bytes = token.getBytes(StandardCharsets.UTF_8);
        return index.find(bytes, 0, bytes.length);
    }
}

package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.UnknownHostException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NodeAddressesTest {

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost"})
    void hasThoseThatCanBeBound(String host) throws IOException {
        assertThat(NodeAddresses.has(host)).isTrue();
    }

    /** From the blocks reserved for documentation. */
    @ParameterizedTest
    @ValueSource(strings = {"192.0.2.1", "2001:db8::1"})
    void hasNotThoseOfOthers(String host) throws IOException {
        assertThat(NodeAddresses.has(host)).isFalse();
    }

    @Test
    void doesNotKnowOfANameThatDoesNotResolve() {
        assertThatThrownBy(() -> NodeAddresses.has("no.such.host.invalid")).isInstanceOf(UnknownHostException.class);
    }
}

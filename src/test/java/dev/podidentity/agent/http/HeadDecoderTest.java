package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.Unpooled;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HeadDecoderTest {

    private static final String GOOD = "GET /v1/credentials HTTP/1.1\r\nHost: x\r\n\r\n";

    private final HeadDecoder decoder = new HeadDecoder();

    @Test
    void decodesAHead() throws Exception {
        // When
        HeadDecoder.Head head = decode("HEAD /a?b HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        // Then
        assertThat(head.failure()).isNull();
        assertThat(head.complete()).isTrue();
        assertThat(head.request().method().name()).isEqualTo("HEAD");
        assertThat(head.request().uri()).isEqualTo("/a?b");
        assertThat(head.request().headers().get("host")).isEqualTo("x");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Sec-WebSocket-Key1: a\r\nSec-WebSocket-Key2: b"
    })
    void saysThatABodyFollows(String header) throws Exception {
        // When
        HeadDecoder.Head head = decode("GET / HTTP/1.1\r\n" + header + "\r\n\r\n");
        // Then
        assertThat(head.failure()).isNull();
        assertThat(head.complete()).isFalse();
        assertDecodesTheNextOneAnew();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "hello\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nA: b\n", "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x", "",
        "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    })
    void refusesWhatIsNotTheHeadOfOneRequest(String text) throws Exception {
        // When
        HeadDecoder.Head head = decode(text);
        // Then
        assertThat(head.failure()).isNotNull();
        assertThat(head.complete()).isFalse();
        assertThat(head.request().decoderResult().isSuccess()).as("Vert.x lets the agent answer").isTrue();
        assertDecodesTheNextOneAnew();
    }

    private void assertDecodesTheNextOneAnew() throws Exception {
        HeadDecoder.Head head = decode(GOOD);
        assertThat(head.failure()).isNull();
        assertThat(head.complete()).isTrue();
        assertThat(head.request().headers().entries()).hasSize(1);
    }

    private HeadDecoder.Head decode(String text) throws Exception {
        return decoder.decode(Unpooled.copiedBuffer(text, ISO_8859_1));
    }
}

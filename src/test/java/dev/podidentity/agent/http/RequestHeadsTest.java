package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.impl.VertxHttpRequestDecoder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RequestHeadsTest {

    private static final String HEAD = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: a.b.c\r\n\r\n";
    private static final HttpServerOptions OPTIONS = new HttpServerOptions()
            .setMaxHeaderSize(RequestHeads.LARGEST_HEADERS)
            .setMaxInitialLineLength(RequestHeads.LONGEST_REQUEST_LINE);

    private final RequestHeads heads = new RequestHeads(RequestHeads.LARGEST_HEADERS);

    @Test
    void givesAHeadThatComesAtOnceWithoutCopyingIt() {
        // Given
        ByteBuf bytes = bytes(HEAD);
        // When
        ByteBuf head = heads.next(bytes);
        // Then
        assertThat(text(head)).isEqualTo(HEAD);
        assertThat(head.unwrap()).isSameAs(bytes);
        assertThat(bytes.isReadable()).isFalse();
        assertThat(heads.begun()).isFalse();
        assertThat(heads.kept()).isZero();
    }

    @Test
    void givesHeadsThatComeTogetherOneAfterAnother() {
        // Given
        ByteBuf bytes = bytes(HEAD + "\r\n\n " + HEAD + "GET");
        // When
        List<String> given = all(bytes);
        // Then: bytes between requests are skipped, as by Netty
        assertThat(given).containsExactly(HEAD, HEAD);
        assertThat(heads.begun()).isTrue();
        assertThat(heads.kept()).isEqualTo("GET".length());
    }

    @Test
    void givesAHeadThatComesByteByByte() {
        // When
        List<String> given = new ArrayList<>();
        for (char character : HEAD.repeat(3).toCharArray()) {
            given.addAll(all(bytes(String.valueOf(character))));
        }
        // Then
        assertThat(given).containsExactly(HEAD, HEAD, HEAD);
        assertThat(heads.kept()).isZero();
    }

    @Test
    void keepsOfAnUnfinishedHeadItsBytesAndALittle() {
        // Given
        String begun = "GET / HTTP/1.1\r\nX: " + "x".repeat(5_000);
        // When
        int sent = 0;
        for (int at = 0; at < begun.length(); at += 100) {
            all(bytes(begun.substring(at, Math.min(begun.length(), at + 100))));
            sent = Math.min(begun.length(), at + 100);
            // Then
            assertThat(heads.kept()).isBetween(sent, sent + 300);
        }
        heads.clear();
        assertThat(heads.kept()).isZero();
    }

    @Test
    void endsAHeadAtALineFeedWithoutACarriageReturnAsNettyFailsThere() {
        assertThat(all(bytes("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n")))
                .containsExactly("GET / HTTP/1.1\r\nA: b\n", "C: d\r\n\r\n");
    }

    @Test
    void countsTheLinesOfAHead() {
        // When
        heads.next(bytes("\r\n" + HEAD));
        // Then
        assertThat(heads.lines()).isEqualTo(4);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 50_000})
    void takesSoManyHeaderLinesAndNoMore(int packet) {
        String most = "GET / HTTP/1.1\r\n" + "a:\r\n".repeat(RequestHeads.MOST_HEADER_LINES);

        assertThat(inPackets(most + "\r\n", packet)).containsExactly(most + "\r\n");
        assertThatThrownBy(() -> inPackets(most + "a:\r\n", packet))
                .isInstanceOf(TooLongHttpHeaderException.class)
                .hasMessageContaining("64");
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 1000, 50_000})
    void takesSoManyHeaderBytesAndNoMore(int packet) {
        String line = "GET / HTTP/1.1\r\n";
        String most = "X: " + "x".repeat(RequestHeads.LARGEST_HEADERS - "X: ".length() - 4) + "\r\n\r\n";

        assertThat(inPackets(line + most, packet)).containsExactly(line + most);
        assertThatThrownBy(() -> inPackets(line + "X" + most, packet)).isInstanceOf(TooLongHttpHeaderException.class);
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 1000, 50_000})
    void takesSoLongARequestLineAndNoLonger(int packet) {
        String most = "GET /" + "x".repeat(RequestHeads.LONGEST_REQUEST_LINE - "GET / HTTP/1.1".length()) + " HTTP/1.1\r\n";

        assertThat(inPackets(most + "\r\n", packet)).containsExactly(most + "\r\n");
        assertThatThrownBy(() -> inPackets(most.replace(" HTTP", "x HTTP"), packet))
                .isInstanceOf(TooLongHttpLineException.class);
    }

    /** Netty's decoder in a pipeline must find the same end of a head, however the bytes are cut. */
    @Test
    void endsHeadsWhereNettyEndsThem() throws Exception {
        String[] parts = {
            "GET / HTTP/1.1", "\r\n", "\r\n", "\r\n", "\n", "\r", " ", "\t", ":", "Host: x", "A:b", "X-Y: z", "\0", "é",
            "GET /a HTTP/1.0\r\n\r\n", HEAD, "Connection: close", "\r\n\r\n", "\u000b", "\u007f", "Content-Length: 0"
        };
        for (int seed = 0; seed < 20_000; seed++) {
            // Given
            Random random = new Random(seed);
            StringBuilder text = new StringBuilder(random.nextBoolean() ? "" : "GET / HTTP/1.1\r\n");
            for (int i = random.nextInt(12); i >= 0; i--) {
                text.append(parts[random.nextInt(parts.length)]);
            }
            // When: both read until something cannot be decoded, after which neither continues
            List<String> ours = decoded(text.toString(), random);
            List<String> nettys = decodedByNetty(text.toString());
            // Then: Netty may fail before it has seen a complete head
            if (!nettys.isEmpty() && nettys.get(nettys.size() - 1).equals("invalid") && ours.size() == nettys.size() - 1) {
                nettys.remove(nettys.size() - 1);
            }
            assertThat(ours).as("seed %d: %s", seed, text).isEqualTo(nettys);
        }
    }

    private static List<String> decoded(String text, Random random) throws Exception {
        RequestHeads heads = new RequestHeads(RequestHeads.LARGEST_HEADERS);
        HeadDecoder decoder = new HeadDecoder();
        List<String> decoded = new ArrayList<>();
        int at = 0;
        while (at < text.length()) {
            int next = Math.min(text.length(), at + 1 + random.nextInt(text.length()));
            ByteBuf bytes = bytes(text.substring(at, next));
            while (bytes.isReadable()) {
                ByteBuf head = heads.next(bytes);
                if (head != null) {
                    HeadDecoder.Head result = decoder.decode(head);
                    decoded.add(result.failure() == null ? summary(result.request()) : "invalid");
                    if (result.failure() != null) {
                        return decoded;
                    }
                    assertThat(result.complete()).isTrue();
                }
            }
            at = next;
        }
        return decoded;
    }

    private static List<String> decodedByNetty(String text) {
        EmbeddedChannel channel = new EmbeddedChannel(new VertxHttpRequestDecoder(OPTIONS));
        channel.writeInbound(bytes(text));
        List<String> decoded = new ArrayList<>();
        for (Object message = channel.readInbound(); message != null; message = channel.readInbound()) {
            if (message instanceof HttpRequest request) {
                boolean valid = request.decoderResult().isSuccess()
                        && request.protocolVersion().majorVersion() == 1
                        && request.protocolVersion().minorVersion() <= 1;
                decoded.add(valid ? summary(request) : "invalid");
            }
        }
        return decoded;
    }

    private static String summary(HttpRequest request) {
        return request.method() + " " + request.uri() + " " + request.headers().entries();
    }

    private List<String> inPackets(String text, int size) {
        List<String> given = new ArrayList<>();
        for (int at = 0; at < text.length(); at += size) {
            given.addAll(all(bytes(text.substring(at, Math.min(text.length(), at + size)))));
        }
        return given;
    }

    private List<String> all(ByteBuf bytes) {
        List<String> given = new ArrayList<>();
        while (bytes.isReadable()) {
            ByteBuf head = heads.next(bytes);
            if (head != null) {
                given.add(text(head));
            }
        }
        return given;
    }

    private static ByteBuf bytes(String text) {
        return Unpooled.copiedBuffer(text, ISO_8859_1);
    }

    private static String text(ByteBuf bytes) {
        return bytes.toString(ISO_8859_1);
    }
}

package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.api.BugDetectors;
import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.podidentity.agent.testing.Tokens;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;

/**
 * Whatever a pod sends to a real listener, it gets a response that an SDK can parse, or none, and does not affect other
 * clients.
 */
class RawRequestFuzzTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final Duration HEADER_TIMEOUT = Duration.ofSeconds(2);
    /** Longer than the header timeout: a response, or the end of the connection, arrives before. */
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(10);
    private static final Pattern STATUS_LINE = Pattern.compile("HTTP/1\\.[01] [1-4]\\d\\d [^\r\n]*\r\n");
    private static final Pattern CONTENT_TYPE = Pattern.compile("\r\ncontent-type: application/json\r\n");
    private static final String GOOD = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: "
            + Tokens.valid(NOW, "good") + "\r\nConnection: close\r\n\r\n";

    private static CredentialsServer server;

    /** Not in a static initializer: the event loop would wait for the class, and the class for the event loop. */
    @BeforeAll
    static void listen() {
        server = CredentialsServer.listen(NOW, HEADER_TIMEOUT, true);
    }

    @FuzzTest(maxDuration = "60s")
    void answersAnyBytes(byte[] request) throws IOException {
        BugDetectors.allowNetworkConnections((host, port) -> port == server.port());
        String answer = answer(request);
        if (!answer.isEmpty()) {
            assertThat(STATUS_LINE.matcher(answer).lookingAt()).as(answer).isTrue();
            String head = answer.substring(0, answer.indexOf("\r\n\r\n") + 2).toLowerCase(Locale.ROOT);
            assertThat(CONTENT_TYPE.matcher(head).find()).as(answer).isTrue();
        }
        assertThat(answer(GOOD.getBytes(ISO_8859_1))).startsWith("HTTP/1.1 200 OK\r\n").contains("\"AccessKeyId\":\"ASIA\"");
    }

    /** Reads everything until the listener closes the connection. */
    private static String answer(byte[] request) throws IOException {
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
            socket.setSoTimeout((int) READ_TIMEOUT.toMillis());
            try {
                socket.getOutputStream().write(request);
                socket.shutdownOutput();
            } catch (SocketException e) {
                // The listener may close before it has read the whole request; its response can still be read.
            }
            InputStream in = socket.getInputStream();
            byte[] part = new byte[8192];
            try {
                for (int length = in.read(part); length >= 0; length = in.read(part)) {
                    answer.write(part, 0, length);
                }
            } catch (SocketException e) {
                // A reset ends the response too.
            }
        }
        return answer.toString(ISO_8859_1);
    }
}

package dev.podidentity.agent.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.testing.Tokens;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The fast path and the full path respond to every request with the same bytes. */
class HitPathTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final Duration IDLE = Duration.ofSeconds(10);
    private static final int LARGE = 1_000_000;
    private static final Pattern CONTENT_LENGTH = Pattern.compile("content-length: (\\d+)\r\n");
    private static final List<String> TOKENS =
            List.of(Tokens.valid(NOW, "cart-0"), Tokens.valid(NOW, "a-pod-with-a-much-longer-name-than-the-other"));
    private static final List<String> HEADS = List.of(
            "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: TOKEN\r\n\r\n",
            "GET /v1/credentials HTTP/1.1\r\nauthorization:TOKEN\r\nhost: [fd00:ec2::23]\r\nUser-Agent: x/1\r\n\r\n",
            "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: Bearer TOKEN\r\nAccept: */*\r\n\r\n",
            "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nConnection: close\r\nAuthorization: TOKEN\r\n\r\n",
            "GET http://169.254.170.23/v1/credentials HTTP/1.1\r\nHost: other\r\nAuthorization: TOKEN\r\n\r\n",
            "GET /v1/credentials HTTP/1.0\r\nHost: 169.254.170.23\r\nAuthorization: TOKEN\r\n\r\n",
            "HEAD /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: TOKEN\r\n\r\n",
            "GET /v1/credentials?TOKEN HTTP/1.1\r\nHost: 169.254.170.23\r\nAuthorization: TOKEN\r\n\r\n");
    private static final List<String> PIECES = List.of(
            "\r\n", "\n", " ", ":", "Host: other\r\n", "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
            "Authorization: x\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n", ".", "A", "\0", "GET ", "X: y\r\n");

    private static CredentialsServer withShortWay;
    private static CredentialsServer wholeWay;

    @BeforeAll
    static void listen() {
        withShortWay = CredentialsServer.listen(NOW, IDLE, true);
        wholeWay = CredentialsServer.listen(NOW, IDLE, false);
    }

    @Test
    void answersAsTheWholeWayDoes() throws IOException {
        for (String head : HEADS) {
            for (int time = 0; time < 3; time++) {
                for (String token : TOKENS) {
                    checkAlike(head.replace("TOKEN", token));
                }
            }
        }
        assertThat(withShortWay.shortWays()).isPositive();
    }

    @Test
    void answersWhateverIsSentAsTheWholeWayDoes() throws IOException {
        Random random = new Random(12);
        for (int i = 0; i < 1500; i++) {
            StringBuilder sent = new StringBuilder();
            for (int requests = random.nextInt(4) / 3; requests >= 0; requests--) {
                sent.append(HEADS.get(random.nextInt(HEADS.size()))
                        .replace("TOKEN", TOKENS.get(random.nextInt(TOKENS.size()))));
            }
            for (int changes = random.nextInt(3); changes > 0; changes--) {
                int at = random.nextInt(sent.length());
                if (random.nextBoolean()) {
                    sent.insert(at, PIECES.get(random.nextInt(PIECES.size())));
                } else {
                    sent.delete(at, Math.min(sent.length(), at + 1 + random.nextInt(5)));
                }
            }
            checkAlike(sent.toString());
        }
        assertThat(withShortWay.shortWays()).isGreaterThan(100);
    }

    @Test
    void answersAHeadThatComesInPartsAsTheWholeWayDoes() throws IOException {
        String head = HEADS.get(0).replace("TOKEN", TOKENS.get(0));
        List<String> parts = new ArrayList<>();
        for (int at = 0; at < head.length(); at += 100) {
            parts.add(head.substring(at, Math.min(head.length(), at + 100)));
        }

        for (int time = 0; time < 3; time++) {
            assertThat(answer(withShortWay, parts)).isEqualTo(answer(wholeWay, parts)).startsWith("HTTP/1.1 200 OK\r\n");
        }
    }

    @Test
    void chargesAnAnswerUntilTheClientTakesIt() throws IOException {
        // Given: a response that no socket buffer can hold
        CredentialsServer server = CredentialsServer.listen(NOW, IDLE, true, "s".repeat(LARGE));
        byte[] request = HEADS.get(0).replace("TOKEN", TOKENS.get(0)).getBytes(ISO_8859_1);
        try (Socket socket = new Socket()) {
            socket.setReceiveBufferSize(Listeners.SOCKET_BUFFER);
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port()));
            socket.setSoTimeout((int) IDLE.multipliedBy(2).toMillis());
            DataInputStream in = new DataInputStream(socket.getInputStream());
            for (int time = 0; time < 2; time++) {
                socket.getOutputStream().write(request);
                takeAnswer(in);
            }
            // When
            socket.getOutputStream().write(request);
            int first = in.readUnsignedByte();
            // Then
            assertThat(server.shortWays()).isOne();
            assertThat(server.held()).isGreaterThan(LARGE);
            // When
            takeRest(in, first);
            socket.getOutputStream().write(request);
            takeAnswer(in);
            // Then: the charge is released, and the connection works as before
            assertThat(server.shortWays()).isEqualTo(2);
            assertThat(server.held()).isZero();
        }
    }

    @Test
    void closesTheConnectionOfAClientThatLeavesMoreThanItsShareUntaken() throws IOException {
        // Given
        CredentialsServer server =
                CredentialsServer.listen(NOW, IDLE, true, "s".repeat(ConnectionLimits.CREDENTIALS_BYTES_PER_SOURCE));
        byte[] request = HEADS.get(0).replace("TOKEN", TOKENS.get(0)).getBytes(ISO_8859_1);
        try (Socket socket = new Socket()) {
            socket.setReceiveBufferSize(Listeners.SOCKET_BUFFER);
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port()));
            socket.setSoTimeout((int) IDLE.multipliedBy(2).toMillis());
            DataInputStream in = new DataInputStream(socket.getInputStream());
            for (int time = 0; time < 2; time++) {
                socket.getOutputStream().write(request);
                takeAnswer(in);
            }
            // When
            socket.getOutputStream().write(request);
            // Then
            assertThatThrownBy(() -> takeAnswer(in)).isInstanceOf(IOException.class);
            assertThat(server.shortWays()).isOne();
            assertThat(server.held()).isZero();
        }
    }

    private static void takeAnswer(DataInputStream in) throws IOException {
        takeRest(in, in.readUnsignedByte());
    }

    private static void takeRest(DataInputStream in, int first) throws IOException {
        StringBuilder head = new StringBuilder().append((char) first);
        while (head.indexOf("\r\n\r\n") < 0) {
            head.append((char) in.readUnsignedByte());
        }
        Matcher length = CONTENT_LENGTH.matcher(head);
        assertThat(length.find()).as(head.toString()).isTrue();
        in.readFully(new byte[Integer.parseInt(length.group(1))]);
    }

    private static void checkAlike(String sent) throws IOException {
        assertThat(answer(withShortWay, List.of(sent))).as(sent).isEqualTo(answer(wholeWay, List.of(sent)));
    }

    /** Reads everything until the server closes the connection. */
    private static String answer(CredentialsServer server, List<String> parts) throws IOException {
        ByteArrayOutputStream answer = new ByteArrayOutputStream();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
            socket.setSoTimeout((int) IDLE.multipliedBy(2).toMillis());
            socket.setTcpNoDelay(true);
            for (String part : parts) {
                socket.getOutputStream().write(part.getBytes(ISO_8859_1));
            }
            socket.shutdownOutput();
            InputStream in = socket.getInputStream();
            byte[] read = new byte[8192];
            try {
                for (int length = in.read(read); length >= 0; length = in.read(read)) {
                    answer.write(read, 0, length);
                }
            } catch (SocketException e) {
                // After a reset, unread bytes are lost.
            }
        }
        return answer.toString(ISO_8859_1);
    }
}

package dev.podidentity.agent;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.StandardSocketOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** A connection that sends given bytes, and returns responses unchanged. */
public final class RawHttp implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final int SDK_RETRIES = 5;

    private final Socket socket = new Socket();

    public RawHttp(int port) throws IOException {
        this(AgentProcess.LOOPBACK, port);
    }

    public RawHttp(String host, int port) throws IOException {
        this(host, port, PATIENCE);
    }

    /** Opens a connection with a timeout for everything it does. */
    public RawHttp(String host, int port, Duration patience) throws IOException {
        connect(host, port, patience);
    }

    /** Opens a connection from a given address of this machine. */
    public static RawHttp from(String source, String host, int port) throws IOException {
        return from(source, host, port, PATIENCE);
    }

    /** Opens a connection from a given address of this machine, with a timeout for everything it does. */
    public static RawHttp from(String source, String host, int port, Duration patience) throws IOException {
        return new RawHttp(new InetSocketAddress(source, 0), host, port, patience);
    }

    private RawHttp(InetSocketAddress source, String host, int port, Duration patience) throws IOException {
        socket.bind(source);
        connect(host, port, patience);
    }

    private void connect(String host, int port, Duration patience) throws IOException {
        int millis = (int) patience.toMillis();
        socket.setSoTimeout(millis);
        socket.connect(new InetSocketAddress(host, port), millis);
    }

    /** Sends without reading; returns whether the peer ended the connection within this many times. */
    public boolean sendUntilRefused(String text, int times) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
        try {
            for (int i = 0; i < times; i++) {
                socket.getOutputStream().write(bytes);
            }
            return false;
        } catch (SocketException e) {
            return true;
        }
    }

    /** Makes one request on a new connection. */
    public static Answer exchange(int port, String request) throws IOException {
        try (RawHttp http = new RawHttp(port)) {
            return http.send(request).answer(request.startsWith("HEAD "));
        }
    }

    /** Requests credentials with the retries of Java's SDK: five more at once after a 503. */
    public static Answer askAsSdk(int port, String token) throws IOException {
        try (RawHttp http = new RawHttp(port)) {
            return http.askAsSdk(token);
        }
    }

    public Answer askAsSdk(String token) throws IOException {
        return send(request(token)).answerAsSdk(token);
    }

    /** Returns the response to a request that was sent, with the same retries after a 503. */
    public Answer answerAsSdk(String token) throws IOException {
        Answer answer = answer();
        for (int retry = 0; retry < SDK_RETRIES && answer.status() == 503; retry++) {
            answer = send(request(token)).answer();
        }
        return answer;
    }

    /** Returns a request for credentials, as an SDK sends it. */
    public static String request(String token) {
        return request("GET", "/v1/credentials", "Host: 169.254.170.23", "Authorization: " + token);
    }

    public static String request(String method, String target, String... headers) {
        StringBuilder request = new StringBuilder(method + ' ' + target + " HTTP/1.1\r\n");
        for (String header : headers) {
            request.append(header).append("\r\n");
        }
        return request.append("\r\n").toString();
    }

    public RawHttp send(String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
        socket.getOutputStream().flush();
        return this;
    }

    public Answer answer() throws IOException {
        return answer(false);
    }

    public Answer answer(boolean head) throws IOException {
        String status = line();
        List<String> headers = new ArrayList<>();
        for (String header = line(); !header.isEmpty(); header = line()) {
            headers.add(header);
        }
        Answer withoutBody = new Answer(status, headers, "");
        int length = withoutBody.header("content-length").map(Integer::parseInt).orElse(0);
        byte[] body = head ? new byte[0] : socket.getInputStream().readNBytes(length);
        return new Answer(status, headers, new String(body, StandardCharsets.UTF_8));
    }

    /** Resets the connection. */
    public void reset() throws IOException {
        socket.setOption(StandardSocketOptions.SO_LINGER, 0);
        socket.close();
    }

    /** Waits until the peer closes or resets the connection; returns false if it sends something instead. */
    public boolean closedByPeer() throws IOException {
        try {
            return socket.getInputStream().read() < 0;
        } catch (SocketException e) {
            return true;
        }
    }

    private String line() throws IOException {
        InputStream in = socket.getInputStream();
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                throw new EOFException("closed after: " + line);
            }
            if (b != '\r') {
                line.write(b);
            }
        }
        return line.toString(StandardCharsets.ISO_8859_1);
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    public record Answer(String statusLine, List<String> headers, String body) {

        public int status() {
            return Integer.parseInt(statusLine.split(" ")[1]);
        }

        public Optional<String> header(String name) {
            return headers.stream()
                    .filter(header -> header.toLowerCase(Locale.ROOT).startsWith(name.toLowerCase(Locale.ROOT) + ":"))
                    .map(header -> header.substring(name.length() + 1).strip())
                    .findFirst();
        }
    }
}

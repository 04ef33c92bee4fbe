package dev.podidentity.agent;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** An attacker's connections and what it sends over them; each attack aims to cost the agent as much as possible. */
public final class HostileConnections implements AutoCloseable {

    private static final String BEGUN = "GET /v1/credentials HTTP/1.1\r\nHost: 169.254.170.23\r\n";

    private final List<RawHttp> open = new ArrayList<>();

    /** Sends request heads of thousands of empty lines. */
    public void sendHeadersInLittlePieces(int port, int times, String... sources) throws IOException {
        for (int i = 0; i < times; i++) {
            open(sources[i % sources.length], port).sendUntilRefused(BEGUN + "a:\r\n".repeat(7_900), 1);
        }
    }

    /** Sends large, complete heads with forged tokens, each of which gets a response; returns the status codes. */
    public List<Integer> sendForgedTokens(int port, int times, String token, String source) throws IOException {
        List<Integer> statuses = new ArrayList<>();
        String unsigned = token.substring(0, token.lastIndexOf('.') + 1);
        for (int i = 0; i < times; i++) {
            statuses.add(open(source, port)
                    .send(RawHttp.request("GET", "/v1/credentials", "Host: 169.254.170.23",
                            "Authorization: " + unsigned + "Zm9yZ2Vk" + String.format("%04d", i),
                            "X-Padding: " + "x".repeat(28 * 1024)))
                    .answer()
                    .status());
        }
        return statuses;
    }

    /** Sends many requests on each connection, and reads no responses. */
    public void readNoAnswers(int port, int times, String token, String... sources) throws IOException {
        for (int i = 0; i < times; i++) {
            for (String source : sources) {
                open(source, port).sendUntilRefused(RawHttp.request(token).repeat(10), 1);
            }
        }
    }

    /** Sends large heads that never end. */
    public void finishNoHeads(int port, int times, String... sources) throws IOException {
        for (int i = 0; i < times; i++) {
            for (String source : sources) {
                open(source, port).sendUntilRefused(BEGUN + "X-Padding: " + "x".repeat(31 * 1024), 1);
            }
        }
    }

    /** Opens connections that request credentials and are reset at once. */
    public void resetAtOnce(int port, int times, String token, String source) throws IOException {
        for (int i = 0; i < times; i++) {
            try (RawHttp http = RawHttp.from(source, AgentProcess.LOOPBACK, port)) {
                http.send(RawHttp.request(token)).reset();
            }
        }
    }

    private RawHttp open(String source, int port) throws IOException {
        RawHttp http = RawHttp.from(source, AgentProcess.LOOPBACK, port);
        open.add(http);
        return http;
    }

    @Override
    public void close() throws IOException {
        for (RawHttp http : open) {
            http.close();
        }
    }
}

package dev.podidentity.agent;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/**
 * An emulated IMDS as a separate process, which can run in a network namespace. The arguments are its address, whether it
 * also supports IMDSv1, the region, and the access key and secret key of the instance's role. It prints a line when it
 * listens, and ends when its standard input ends.
 */
final class ImdsMain {

    private static final String TOKEN = "imds-token";
    private static final String ROLES = "/latest/meta-data/iam/security-credentials/";

    private ImdsMain() {}

    public static void main(String... args) throws IOException {
        boolean versionOne = Boolean.parseBoolean(args[1]);
        HttpServer server = HttpServer.create(new InetSocketAddress(args[0], 80), 0);
        server.createContext("/", exchange -> {
            if (exchange.getRequestMethod().equals("PUT") && exchange.getRequestURI().getPath().equals("/latest/api/token")) {
                exchange.getResponseHeaders().add("X-aws-ec2-metadata-token-ttl-seconds", "21600");
                answer(exchange, 200, TOKEN);
            } else if (!versionOne && !TOKEN.equals(exchange.getRequestHeaders().getFirst("X-aws-ec2-metadata-token"))) {
                answer(exchange, 401, "");
            } else {
                answer(exchange, args);
            }
        });
        server.start();
        System.out.println("listening");
        while (System.in.read() >= 0) {
            // Only the end of the input matters.
        }
        server.stop(0);
    }

    private static void answer(HttpExchange exchange, String... args) throws IOException {
        switch (exchange.getRequestURI().getPath()) {
            case "/latest/meta-data/" -> answer(exchange, 200, "iam/");
            case ROLES -> answer(exchange, 200, "node-role");
            case ROLES + "node-role" -> answer(exchange, 200, """
                    {"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"%s","SecretAccessKey":"%s",
                     "LastUpdated":"2024-01-01T00:00:00Z","Expiration":"2999-01-01T00:00:00Z"}
                    """.formatted(args[3], args[4]));
            case "/latest/dynamic/instance-identity/document" -> answer(exchange, 200, "{\"region\":\"" + args[2] + "\"}");
            default -> answer(exchange, 404, "");
        }
    }

    private static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }
}

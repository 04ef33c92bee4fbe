package dev.podidentity.bare;

import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.QuarkusApplication;
import io.quarkus.runtime.annotations.QuarkusMain;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerOptions;
import jakarta.inject.Inject;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Responds to every request with the content of a file, and does nothing else: {@code mvn -Pbare package -Dnative}, then
 * {@code target/bare/eks-pod-identity-agent PORT FILE}.
 */
@QuarkusMain
public final class Bare implements QuarkusApplication {

    private static final CharSequence JSON = HttpHeaders.createOptimized("application/json");

    @Inject
    Vertx vertx;

    @Override
    public int run(String... args) throws Exception {
        Buffer answer = Buffer.buffer(Files.readAllBytes(Path.of(args[1])));
        CharSequence length = HttpHeaders.createOptimized(String.valueOf(answer.length()));
        vertx.createHttpServer(new HttpServerOptions().setHttp2ClearTextEnabled(false))
                .requestHandler(request -> {
                    request.response().putHeader(HttpHeaders.CONTENT_TYPE, JSON).putHeader(HttpHeaders.CONTENT_LENGTH, length);
                    request.response().end(answer);
                })
                .listen(Integer.parseInt(args[0]), "127.0.0.1")
                .onFailure(failure -> Quarkus.asyncExit(1));
        Quarkus.waitForExit();
        return 0;
    }
}

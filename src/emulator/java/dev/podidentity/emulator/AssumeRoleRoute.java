package dev.podidentity.emulator;

import io.netty.channel.Channel;
import io.netty.channel.ChannelOption;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * Handles AssumeRoleForPodIdentity. It counts the call, waits at the gate, applies a fault, and then makes the checks of EKS
 * Auth in their order. Runs on the event loop of the connection.
 */
final class AssumeRoleRoute {

    private static final String JSON = "application/json";

    private final Vertx vertx;
    private final EmulatorConfig config;
    private final Associations associations;
    private final TokenMint tokens;
    private final CallLog calls;
    private final Faults faults;
    private final Consumer<Issued> issued;
    private final SignatureCheck signatures;

    AssumeRoleRoute(
            Vertx vertx,
            EmulatorConfig config,
            Associations associations,
            TokenMint tokens,
            CallLog calls,
            Faults faults,
            Consumer<Issued> issued) {
        this.vertx = vertx;
        this.config = config;
        this.associations = associations;
        this.tokens = tokens;
        this.calls = calls;
        this.faults = faults;
        this.issued = issued;
        this.signatures = new SignatureCheck(config);
    }

    void handle(HttpServerRequest request, String cluster, Buffer body) {
        String token = token(body);
        Call call = new Call(request, cluster, body, token, calls.begin(token));
        request.response().closeHandler(closed -> call.ended().run());
        Gate gate = faults.gate();
        if (gate.isReleased()) {
            proceed(call);
        } else {
            var context = vertx.getOrCreateContext();
            gate.whenReleased(() -> context.runOnContext(released -> proceed(call)));
        }
    }

    private void proceed(Call call) {
        // A call that the client abandoned at the gate uses up no fault.
        if (!call.response().closed()) {
            apply(faults.take(call.token()), call);
        }
    }

    private void apply(Fault fault, Call call) {
        if (fault instanceof Fault.Latency latency) {
            later(call, latency.delay(), () -> answer(call, latency));
        } else if (fault instanceof Fault.After after) {
            later(call, after.delay(), () -> apply(after.fault(), call));
        } else if (fault instanceof Fault.ErrorAnswer error) {
            fail(call, error);
        } else if (fault instanceof Fault.Reset) {
            reset(call.request());
        } else if (fault instanceof Fault.NotJson) {
            call.response().putHeader(HttpHeaders.CONTENT_TYPE, "text/html");
            send(call, 200, Buffer.buffer("<html><body>Please sign in to the network</body></html>"));
        } else if (fault instanceof Fault.EmptyBody) {
            call.response().putHeader(HttpHeaders.CONTENT_TYPE, JSON);
            send(call, 200, Buffer.buffer());
        } else if (fault instanceof Fault.Redirect) {
            call.response().putHeader(HttpHeaders.LOCATION, "/elsewhere");
            send(call, 302, Buffer.buffer());
        } else if (!(fault instanceof Fault.Hang)) {
            answer(call, fault);
        }
    }

    private void later(Call call, Duration delay, Runnable action) {
        if (delay.isZero()) {
            action.run();
            return;
        }
        vertx.setTimer(Math.max(1, delay.toMillis()), timer -> {
            if (!call.response().closed()) {
                action.run();
            }
        });
    }

    /** Responds as EKS Auth would, except for what the fault changes in a successful response. */
    private void answer(Call call, Fault fault) {
        Instant now = Instant.now();
        JsonObject answer;
        try {
            signatures.check(call.request(), call.body().getBytes(), now);
            TokenVerification.Verified token = verified(call, now);
            if (fault instanceof Fault.OtherSubject other) {
                token = new TokenVerification.Verified(
                        other.namespace(), other.serviceAccount(), token.pod(), token.expiresAt());
            }
            Association association = associations.find(token.namespace(), token.serviceAccount());
            Duration lifetime =
                    fault instanceof Fault.ShortExpiry expiry ? expiry.lifetime() : config.credentialLifetime();
            answer = Answer.of(config, association, token, now, lifetime);
            issued.accept(Issued.of(now, call.token(), answer));
        } catch (Refusal e) {
            fail(call, e.answer());
            return;
        }
        if (fault instanceof Fault.MissingField missing) {
            Answer.remove(answer, missing.field());
        } else if (fault instanceof Fault.WrongType wrong) {
            Answer.changeType(answer, wrong.field());
        }
        call.response().putHeader(HttpHeaders.CONTENT_TYPE, JSON);
        if (fault instanceof Fault.Truncated) {
            truncate(call, answer.toBuffer());
        } else if (fault instanceof Fault.SlowBody slow) {
            trickle(call, answer.toBuffer(), slow.pause());
        } else {
            send(call, 200, answer.toBuffer());
        }
    }

    private TokenVerification.Verified verified(Call call, Instant now) throws Refusal {
        if (!call.cluster().equals(config.clusterName())) {
            throw new Refusal(EksAuthError.RESOURCE_NOT_FOUND, "No cluster found for name: " + call.cluster() + ".");
        }
        if (call.token().isEmpty()) {
            throw new Refusal(EksAuthError.INVALID_REQUEST, "The body must be a JSON object with a token");
        }
        TokenVerification verification = tokens.verify(call.token(), now);
        if (verification instanceof TokenVerification.Verified verified) {
            return verified;
        }
        if (verification instanceof TokenVerification.Expired expired) {
            throw new Refusal(
                    EksAuthError.EXPIRED_TOKEN, "The token included in the request has expired: " + expired.since());
        }
        throw new Refusal(EksAuthError.INVALID_TOKEN, "The token included in the request is invalid: "
                + ((TokenVerification.Invalid) verification).message());
    }

    private static void fail(Call call, Fault.ErrorAnswer error) {
        call.response().putHeader("x-amzn-ErrorType", error.type()).putHeader(HttpHeaders.CONTENT_TYPE, JSON);
        send(call, error.status(), new JsonObject().put("message", error.message()).toBuffer());
    }

    private static void send(Call call, int status, Buffer body) {
        addGeneralHeaders(call.response().setStatusCode(status));
        // Ended first, so that a client that has the response does not see its call as in flight.
        call.ended().run();
        call.response().end(body);
    }

    private static void truncate(Call call, Buffer body) {
        addGeneralHeaders(call.response())
                .putHeader(HttpHeaders.CONTENT_LENGTH, String.valueOf(body.length()))
                .write(body.slice(0, body.length() / 2))
                .onComplete(written -> call.request().connection().close());
    }

    private void trickle(Call call, Buffer body, Duration pause) {
        addGeneralHeaders(call.response()).putHeader(HttpHeaders.CONTENT_LENGTH, String.valueOf(body.length()));
        AtomicInteger sent = new AtomicInteger();
        vertx.setPeriodic(pause.toMillis(), timer -> {
            int next = sent.getAndIncrement();
            if (call.response().closed()) {
                vertx.cancelTimer(timer);
            } else if (next + 1 < body.length()) {
                call.response().write(body.slice(next, next + 1));
            } else {
                vertx.cancelTimer(timer);
                call.ended().run();
                call.response().end(body.slice(next, next + 1));
            }
        });
    }

    /** The SDK corrects its clock by the {@code Date} header when a signature is rejected. */
    private static HttpServerResponse addGeneralHeaders(HttpServerResponse response) {
        String date = DateTimeFormatter.RFC_1123_DATE_TIME.format(Instant.now().atOffset(ZoneOffset.UTC));
        return response.putHeader(HttpHeaders.DATE, date).putHeader("x-amzn-RequestId", UUID.randomUUID().toString());
    }

    private static void reset(HttpServerRequest request) {
        // Vert.x only offers an orderly close. Closing a socket with SO_LINGER 0 sends RST.
        Channel channel = ((ConnectionBase) request.connection()).channel();
        channel.config().setOption(ChannelOption.SO_LINGER, 0);
        channel.close();
    }

    /** Returns the token in the body; empty if there is none. */
    private static String token(Buffer body) {
        try {
            return body.toJsonValue() instanceof JsonObject json && json.getValue("token") instanceof String token
                    ? token
                    : "";
        } catch (DecodeException e) {
            return "";
        }
    }

    /** @param ended reports to the log that the call is no longer in flight */
    private record Call(HttpServerRequest request, String cluster, Buffer body, String token, Runnable ended) {

        HttpServerResponse response() {
            return request.response();
        }
    }
}

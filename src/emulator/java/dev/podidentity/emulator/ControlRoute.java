package dev.podidentity.emulator;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.time.Duration;

/** Handles {@code /emulator/...}, which {@link EksAuthEmulator} describes. Runs on the event loop. */
final class ControlRoute {

    private final TokenMint tokens;
    private final CallLog calls;
    private final Faults faults;

    ControlRoute(TokenMint tokens, CallLog calls, Faults faults) {
        this.tokens = tokens;
        this.calls = calls;
        this.faults = faults;
    }

    void handle(HttpServerRequest request, Buffer body) {
        try {
            switch (request.method().name() + " " + request.path()) {
                case "PUT /emulator/fault" -> {
                    inject(new ControlJson(json(body)));
                    send(request, 204, "text/plain", "");
                }
                case "DELETE /emulator/fault" -> {
                    faults.heal();
                    send(request, 204, "text/plain", "");
                }
                case "GET /emulator/calls" -> send(request, 200, "application/json", counts());
                case "DELETE /emulator/calls" -> {
                    calls.reset();
                    send(request, 204, "text/plain", "");
                }
                case "POST /emulator/token" -> send(request, 200, "text/plain", mint(new ControlJson(json(body))));
                default -> send(
                        request, 404, "text/plain", "No such control: " + request.method() + " " + request.path());
            }
        } catch (IllegalArgumentException e) {
            send(request, 400, "text/plain", e.getMessage());
        }
    }

    private void inject(ControlJson json) {
        Fault fault = fault(json);
        Duration delay = Duration.ofMillis(json.optionalNumber("after-millis", 0));
        Fault injected = delay.isZero() ? fault : Fault.after(delay, fault);
        if (json.has("times")) {
            int times = json.number("times");
            json.requireNothingElse();
            faults.inject(injected, times);
        } else {
            json.requireNothingElse();
            faults.inject(injected);
        }
    }

    private static Fault fault(ControlJson json) {
        String type = json.text("type");
        return switch (type) {
            case "latency" -> new Fault.Latency(Duration.ofMillis(json.number("millis")));
            case "error" -> error(json);
            case "hang" -> new Fault.Hang();
            case "reset" -> new Fault.Reset();
            case "truncated" -> new Fault.Truncated();
            case "slow-body" -> new Fault.SlowBody(Duration.ofMillis(json.number("millis")));
            case "other-subject" -> new Fault.OtherSubject(json.text("namespace"), json.text("serviceAccount"));
            case "not-json" -> new Fault.NotJson();
            case "empty-body" -> new Fault.EmptyBody();
            case "redirect" -> new Fault.Redirect();
            case "missing-field" -> new Fault.MissingField(json.text("field"));
            case "wrong-type" -> new Fault.WrongType(json.text("field"));
            case "short-expiry" -> new Fault.ShortExpiry(Duration.ofSeconds(json.number("seconds")));
            default -> throw new IllegalArgumentException("type must be latency, error, hang, reset, truncated, "
                    + "slow-body, other-subject, not-json, empty-body, redirect, missing-field, wrong-type or "
                    + "short-expiry: " + type);
        };
    }

    private static Fault error(ControlJson json) {
        String name = json.text("name");
        if (!json.has("status")) {
            Fault.ErrorAnswer known = new Fault.ErrorAnswer(EksAuthError.ofType(name));
            return new Fault.ErrorAnswer(known.status(), name, json.optionalText("message", known.message()));
        }
        return new Fault.ErrorAnswer(json.number("status"), name, json.optionalText("message", "Emulated " + name));
    }

    private String mint(ControlJson json) {
        TokenRequest request = tokens.request(json.text("namespace"), json.text("serviceAccount"), json.text("pod"));
        if (json.has("lifetimeSeconds")) {
            request = request.withLifetime(Duration.ofSeconds(json.number("lifetimeSeconds")));
        }
        json.requireNothingElse();
        return tokens.mint(request);
    }

    private String counts() {
        return new JsonObject()
                .put("calls", calls.calls())
                .put("inFlight", calls.inFlight())
                .put("maxInFlight", calls.maxInFlight())
                .encode();
    }

    private static JsonObject json(Buffer body) {
        try {
            if (body.toJsonValue() instanceof JsonObject json) {
                return json;
            }
        } catch (DecodeException e) {
            throw new IllegalArgumentException("The body must be JSON: " + body, e);
        }
        throw new IllegalArgumentException("The body must be a JSON object: " + body);
    }

    private static void send(HttpServerRequest request, int status, String contentType, String body) {
        request.response().setStatusCode(status).putHeader(HttpHeaders.CONTENT_TYPE, contentType).end(body);
    }
}

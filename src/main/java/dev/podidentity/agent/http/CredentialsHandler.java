package dev.podidentity.agent.http;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.Caller;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.CredentialService.Waiting;
import dev.podidentity.agent.credentials.Outcome;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.token.TokenReader.Reading;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.verification.TokenVerification;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * A request's way: rate, guard, token, verification, credentials, answer. The rate comes first, since turning a request away costs
 * something too. Confined to the event loop.
 */
final class CredentialsHandler {

    private static final Logger LOG = Logger.getLogger(CredentialsHandler.class);

    static final int OK = 200;
    private static final CharSequence CONTENT_TYPE = HttpHeaders.createOptimized("Content-Type");
    private static final CharSequence CONTENT_LENGTH = HttpHeaders.createOptimized("content-length");
    private static final CharSequence CACHE_CONTROL = HttpHeaders.createOptimized("Cache-Control");
    private static final CharSequence CONNECTION = HttpHeaders.createOptimized("Connection");
    private static final CharSequence RETRY_AFTER = HttpHeaders.createOptimized("Retry-After");
    private static final CharSequence ALLOW = HttpHeaders.createOptimized("Allow");
    private static final CharSequence JSON = HttpHeaders.createOptimized("application/json");
    private static final CharSequence NO_STORE = HttpHeaders.createOptimized("no-store");
    private static final CharSequence CLOSE = HttpHeaders.createOptimized("close");
    /** Seconds: the shortest time that there is, as the agent itself waits for EKS Auth. JavaScript's SDK v2 goes by it. */
    private static final CharSequence A_SECOND = HttpHeaders.createOptimized("1");
    private static final CharSequence ALLOWED_METHODS = HttpHeaders.createOptimized("GET, HEAD");

    private final SourceRateLimit rate;
    private final RequestGuard guard;
    private final TokenReader tokens;
    private final TokenVerification verification;
    private final CoalesceScope scope;
    private final CredentialService credentials;
    private final ClientDeadlines deadlines;
    private final FailureReport failures;
    private final Connections connections;
    private final Metrics metrics;
    private final LongSupplier nanos;
    private boolean draining;

    CredentialsHandler(
            SourceRateLimit rate,
            RequestGuard guard,
            TokenReader tokens,
            TokenVerification verification,
            CoalesceScope scope,
            CredentialService credentials,
            ClientDeadlines deadlines,
            FailureReport failures,
            Connections connections,
            Metrics metrics,
            LongSupplier nanos) {
        this.rate = rate;
        this.guard = guard;
        this.tokens = tokens;
        this.verification = verification;
        this.scope = scope;
        this.credentials = credentials;
        this.deadlines = deadlines;
        this.failures = failures;
        this.connections = connections;
        this.metrics = metrics;
        this.nanos = nanos;
    }

    /** From now on each answer ends its connection. */
    void drain() {
        draining = true;
    }

    /** Whether each answer ends its connection. */
    boolean draining() {
        return draining;
    }

    /** Answers a request. */
    void handle(HttpServerRequest request) {
        begin(request).ifPresent(exchange -> {
            Optional<Throwable> failure = exchange.client.failure();
            if (failure.isPresent()) {
                exchange.answer(ErrorAnswer.ofUnreadable(failure.get()), CacheOutcome.NONE);
                return;
            }
            if (!rate.allows(exchange.client.source(), exchange.began)) {
                connections.rejected(Limit.SOURCE_REQUESTS, exchange.client.source());
                exchange.client.pause();
                exchange.answer(ErrorAnswer.RATE, CacheOutcome.NONE);
                return;
            }
            Optional<ErrorAnswer> refused = guard.check(request);
            if (refused.isPresent()) {
                exchange.answer(refused.get(), CacheOutcome.NONE);
                return;
            }
            Duration deadline = deadlines.of(request.headers());
            Reading reading = tokens.read(request.headers().getAll(HttpHeaders.AUTHORIZATION));
            // Nobody reads them from here on, and a request may wait.
            request.headers().clear();
            if (reading instanceof RejectedToken rejected) {
                exchange.answer(ErrorAnswer.of(rejected, rejected.workload()), CacheOutcome.NONE);
            } else if (reading instanceof ServiceAccountToken token) {
                new Asking(exchange, token, deadline).begin();
            }
        });
    }

    private Optional<Exchange> begin(HttpServerRequest request) {
        return connections.of(request.connection())
                .filter(client -> !client.closing())
                .map(client -> new Exchange(request, client, nanos.getAsLong()));
    }

    /** What a request with a token waits for: first for what verifying the token gives, then for credentials. */
    private final class Asking implements Waiting {

        private final Exchange exchange;
        private final ServiceAccountToken token;
        private final Duration deadline;
        private Optional<Waiting> forCredentials = Optional.empty();
        private boolean abandoned;

        Asking(Exchange exchange, ServiceAccountToken token, Duration deadline) {
            this.exchange = exchange;
            this.token = token;
            this.deadline = deadline;
        }

        void begin() {
            verification.verify(token, exchange.client.source(), this::verified);
            if (!exchange.answered) {
                exchange.client.waits(this);
            }
        }

        private void verified(Verification verdict) {
            if (abandoned) {
                return;
            }
            if (verdict instanceof RejectedToken rejected) {
                exchange.answer(ErrorAnswer.of(rejected, Optional.of(token.claims())), CacheOutcome.NONE);
                return;
            }
            Caller caller = Caller.of(token, verdict, scope);
            Duration waited = Duration.ofNanos(nanos.getAsLong() - exchange.began);
            forCredentials = Optional.of(
                    credentials.request(caller, exchange.client.source(), deadline, waited, outcome -> {
                        exchange.answer(outcome, token);
                        report(caller, outcome);
                    }));
        }

        private void report(Caller caller, Outcome outcome) {
            if (outcome instanceof Outcome.Failed failed && failed.failure() instanceof PermanentFailure failure) {
                caller.verified().ifPresent(pod -> failures.failed(pod, failure));
            }
        }

        @Override
        public void abandon() {
            abandoned = true;
            forCredentials.ifPresent(Waiting::abandon);
        }
    }

    /** One request and its answer. */
    private final class Exchange {

        private final HttpServerRequest request;
        private final ClientConnection client;
        private final long began;
        private boolean answered;

        Exchange(HttpServerRequest request, ClientConnection client, long began) {
            this.request = request;
            this.client = client;
            this.began = began;
        }

        void answer(Outcome outcome, ServiceAccountToken token) {
            if (outcome instanceof Outcome.Served served) {
                if (served.cache() == CacheOutcome.HIT) {
                    client.hit(token);
                }
                write(OK, Buffer.buffer(served.credentials().answer().body()), false);
                metrics.answered(OK, RequestOutcome.SERVED, served.cache(), nanos.getAsLong() - began);
                LOG.trace("Served credentials");
            } else if (outcome instanceof Outcome.Rejected rejected) {
                answer(ErrorAnswer.of(rejected.token(), Optional.of(token.claims())), rejected.cache());
            } else if (outcome instanceof Outcome.Failed failed) {
                answer(ErrorAnswer.of(failed.failure(), token.claims()), failed.cache());
            }
        }

        void answer(ErrorAnswer error, CacheOutcome cache) {
            if (error == ErrorAnswer.METHOD) {
                request.response().putHeader(ALLOW, ALLOWED_METHODS);
            }
            if (error.retry()) {
                request.response().putHeader(RETRY_AFTER, A_SECOND);
            }
            // A body that nobody wants would otherwise have to be read to its end.
            write(error.status(), error.body(), RequestGuard.hasBody(request));
            metrics.answered(error.status(), error.outcome(), cache, nanos.getAsLong() - began);
        }

        private void write(int status, Buffer body, boolean close) {
            HttpServerResponse response = request.response()
                    .setStatusCode(status)
                    .putHeader(CONTENT_TYPE, JSON)
                    .putHeader(CACHE_CONTROL, NO_STORE);
            answered = true;
            client.waitsNoMore();
            boolean last = close || draining || client.lastRequest();
            if (last) {
                client.lastAnswer();
                response.putHeader(CONNECTION, CLOSE);
            }
            if (request.method().equals(HttpMethod.HEAD)) {
                // Vert.x would leave out the length of a body that it does not send.
                response.putHeader(CONTENT_LENGTH, Integer.toString(body.length())).end();
            } else {
                response.end(body);
            }
        }
    }
}

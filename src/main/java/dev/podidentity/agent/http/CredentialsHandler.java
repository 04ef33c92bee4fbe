package dev.podidentity.agent.http;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.Caller;
import dev.podidentity.agent.credentials.CredentialService.Waiting;
import dev.podidentity.agent.credentials.CredentialService;
import dev.podidentity.agent.credentials.EncodedAnswer;
import dev.podidentity.agent.credentials.Outcome;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.loop.SourceRateLimit;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.Limit;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.observe.RequestOutcome;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader.Reading;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.verification.TokenVerification;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpRequest;
import java.time.Duration;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Handles a request in this order: rate, guard, token, verification, credentials, response. The rate comes first, because
 * even rejecting a request costs CPU time. Confined to the event loop.
 */
final class CredentialsHandler implements CredentialsConnection.Requests {

    private static final Logger LOG = Logger.getLogger(CredentialsHandler.class);

    static final int OK = 200;

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

    /** From now on, each response closes its connection. */
    void drain() {
        draining = true;
    }

    /** Returns whether each response closes its connection. */
    boolean draining() {
        return draining;
    }

    @Override
    public void handle(HeadDecoder.Head head, CredentialsConnection client) {
        Exchange exchange = new Exchange(head, client, nanos.getAsLong());
        if (head.failure() != null) {
            exchange.answer(ErrorAnswer.ofUnreadable(head.failure()), CacheOutcome.NONE);
            return;
        }
        if (!rate.allows(client.source(), exchange.began)) {
            connections.rejected(Limit.SOURCE_REQUESTS, client.source());
            client.pause();
            exchange.answer(ErrorAnswer.RATE, CacheOutcome.NONE);
            return;
        }
        HttpRequest request = head.request();
        Optional<ErrorAnswer> refused = guard.check(request);
        if (refused.isPresent()) {
            exchange.answer(refused.get(), CacheOutcome.NONE);
            return;
        }
        Duration deadline = deadlines.of(request.headers());
        Reading reading = tokens.read(request.headers().getAll(HttpHeaderNames.AUTHORIZATION));
        // The headers are not needed from here on, and the request may wait.
        request.headers().clear();
        if (reading instanceof RejectedToken rejected) {
            exchange.answer(ErrorAnswer.of(rejected, rejected.workload()), CacheOutcome.NONE);
        } else if (reading instanceof ServiceAccountToken token) {
            new Asking(exchange, token, deadline).begin();
        }
    }

    /** The result for which a request with a token waits: first verification, then credentials. */
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

    /** One request and its response. */
    private final class Exchange {

        private final HttpRequest request;
        private final CredentialsConnection client;
        private final long began;
        private final boolean last;
        private boolean answered;

        Exchange(HeadDecoder.Head head, CredentialsConnection client, long began) {
            this.request = head.request();
            this.client = client;
            this.began = began;
            this.last = head.isLast();
        }

        void answer(Outcome outcome, ServiceAccountToken token) {
            if (outcome instanceof Outcome.Served served) {
                if (served.cache() == CacheOutcome.HIT) {
                    client.hit(token);
                }
                serve(served.credentials().answer());
                metrics.answered(OK, RequestOutcome.SERVED, served.cache(), nanos.getAsLong() - began);
                LOG.trace("Served credentials");
            } else if (outcome instanceof Outcome.Rejected rejected) {
                answer(ErrorAnswer.of(rejected.token(), Optional.of(token.claims())), rejected.cache());
            } else if (outcome instanceof Outcome.Failed failed) {
                answer(ErrorAnswer.of(failed.failure(), token.claims()), failed.cache());
            }
        }

        void answer(ErrorAnswer error, CacheOutcome cache) {
            write(error.status(), error.headers(), error.body());
            metrics.answered(error.status(), error.outcome(), cache, nanos.getAsLong() - began);
        }

        private void serve(EncodedAnswer answer) {
            if (HitPath.takes(request)) {
                answered = true;
                client.answer(answer.response(client.buffers(), closes()), closes());
            } else {
                write(OK, "", answer.body());
            }
        }

        private void write(int status, String headers, byte[] body) {
            answered = true;
            client.answer(Responses.of(client.buffers(), request, status, headers, closes(), body), closes());
        }

        private boolean closes() {
            return last || draining;
        }
    }
}

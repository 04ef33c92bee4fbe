package dev.podidentity.agent.token;

import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.Timers;
import dev.podidentity.agent.token.NotVerified.Reason;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/**
 * Verifies tokens with the cluster's keys: each once, on the worker, as one takes up to a millisecond or two. Verdicts
 * are remembered, those of bad tokens apart and briefly, and forgotten as a whole when the keys change, so that what a
 * withdrawn key has signed is no longer believed. A token whose key is not known waits for a fetch of keys, if there is
 * to be one; if it still is not known then, EKS Auth is to judge: the published keys may not be all that there are.
 *
 * <p>Confined to the event loop.
 */
public final class JwksVerifier implements TokenVerifier {

    private static final Logger LOG = Logger.getLogger(JwksVerifier.class);
    /** More than the processors that an agent gets would only wait elsewhere, out of turn. */
    private static final int MOST_VERIFYING = 4;
    /** Enough for what one pod or two send over and over; more would only give them more memory. */
    private static final int MOST_BAD = 256;
    /** Bounds what a clock that was set back, or jumped ahead, does to a token. */
    private static final Duration BAD_FOR = Duration.ofMinutes(1);

    private final KeyRing keyRing;
    private final TokenJudge judge;
    private final Clock clock;
    private final Timers timers;
    private final Executor worker;
    private final Executor loop;

    private final BoundedMap<TokenFingerprint, Remembered> genuine;
    private final BoundedMap<TokenFingerprint, Remembered> bad = new BoundedMap<>(MOST_BAD);
    /** The keys that what is remembered was judged by. */
    private Optional<VerificationKeys> rememberedBy = Optional.empty();

    private final Map<TokenFingerprint, Flight> flights = new HashMap<>();
    private final WaitingTokens<Flight> waiting = new WaitingTokens<>();
    private final Set<Flight> awaitingKeys = new LinkedHashSet<>();
    private int verifying;

    /**
     * @param keyRing the cluster's keys; started and stopped by whoever made it
     * @param audience that tokens must name
     * @param memory how many genuine tokens to remember; each takes about 1 KiB
     * @param clock tells the time that tokens expire by
     * @param timers runs what comes later, on the event loop
     * @param worker runs what computes
     * @param loop runs what must run on the event loop
     */
    public JwksVerifier(
            KeyRing keyRing, String audience, int memory, Clock clock, Timers timers, Executor worker, Executor loop) {
        this.keyRing = keyRing;
        this.judge = new TokenJudge(audience);
        this.genuine = new BoundedMap<>(memory);
        this.clock = clock;
        this.timers = timers;
        this.worker = worker;
        this.loop = loop;
        keyRing.listen(this::news);
    }

    /** A verdict, and until when it holds unless the keys change. */
    private record Remembered(Verification verdict, Instant until) {}

    @Override
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        Flight underWay = flights.get(token.fingerprint());
        if (underWay != null) {
            underWay.join(verdict);
            return;
        }
        Optional<VerificationKeys> keys = currentKeys();
        Optional<Verification> known = keys.isPresent()
                ? remembered(token.fingerprint())
                : Optional.of(new NotVerified(Reason.NO_KEYS));
        if (known.isPresent() && !keysMayHelp(known.get())) {
            verdict.accept(known.get());
            return;
        }
        if (!waiting.enter(source, token)) {
            verdict.accept(new NotVerified(Reason.LIMIT));
            return;
        }
        Flight flight = new Flight(token, source);
        flights.put(token.fingerprint(), flight);
        flight.join(verdict);
        if (known.isPresent()) {
            flight.awaitKeys((NotVerified) known.get());
        } else {
            flight.judge();
        }
    }

    /** Has the next ones verified, as many as may be at once. */
    private void judgeNext() {
        while (verifying < MOST_VERIFYING) {
            Optional<Flight> next = waiting.next();
            if (next.isEmpty()) {
                return;
            }
            Optional<VerificationKeys> keys = currentKeys();
            if (next.get().waiters.isEmpty()) {
                next.get().end(next.get().meanwhile);
            } else if (keys.isEmpty()) {
                next.get().awaitKeys(new NotVerified(Reason.NO_KEYS));
            } else {
                next.get().judgeNow(keys.get());
            }
        }
    }

    private static boolean keysMayHelp(Verification verdict) {
        return verdict instanceof NotVerified not && (not.reason() == Reason.NO_KEYS || not.reason() == Reason.UNKNOWN_KEY);
    }

    /** The keys in use. What is remembered was judged by them. */
    private Optional<VerificationKeys> currentKeys() {
        Optional<VerificationKeys> keys = keyRing.current();
        if (!keys.equals(rememberedBy)) {
            genuine.clear();
            bad.clear();
            rememberedBy = keys;
        }
        return keys;
    }

    private Optional<Verification> remembered(TokenFingerprint token) {
        Instant now = clock.instant();
        return Optional.ofNullable(genuine.get(token))
                .or(() -> Optional.ofNullable(bad.get(token)))
                .filter(remembered -> now.isBefore(remembered.until()))
                .map(Remembered::verdict);
    }

    private void remember(ServiceAccountToken token, Verification verdict) {
        if (verdict instanceof VerifiedClaims || verdict instanceof NotVerified not && not.reason() == Reason.NO_POD) {
            genuine.put(token.fingerprint(), new Remembered(verdict, token.expiresAt()));
        } else {
            bad.put(token.fingerprint(), new Remembered(verdict, clock.instant().plus(BAD_FOR)));
        }
    }

    /** A fetch of keys has ended, or their file has been read. */
    private void news() {
        List<Flight> all = List.copyOf(awaitingKeys);
        awaitingKeys.clear();
        Optional<VerificationKeys> keys = currentKeys();
        for (Flight flight : all) {
            if (keys.isPresent() && !keys.equals(flight.judgedBy)) {
                flight.judge();
            } else if (keyRing.underWay()) {
                awaitingKeys.add(flight);
            } else {
                flight.end(flight.meanwhile);
            }
        }
    }

    /** The verifying of one token, and all who wait for it. */
    private final class Flight {

        private final ServiceAccountToken token;
        private final String source;
        private final Waiters waiters = new Waiters(timers, loop);
        private Optional<VerificationKeys> judgedBy = Optional.empty();
        /** The answer for those who can wait no longer. */
        private NotVerified meanwhile = new NotVerified(Reason.LIMIT);

        Flight(ServiceAccountToken token, String source) {
            this.token = token;
            this.source = source;
        }

        void join(Consumer<Verification> verdict) {
            waiters.add(verdict, () -> meanwhile, this::left);
        }

        /** Nobody waits any more. What is on the worker goes on, and is remembered. */
        private void left() {
            if (awaitingKeys.remove(this)) {
                leave();
            }
        }

        /** Has it verified when its turn comes. */
        void judge() {
            meanwhile = new NotVerified(Reason.LIMIT);
            waiting.queue(source, this);
            judgeNext();
        }

        private void judgeNow(VerificationKeys keys) {
            verifying++;
            judgedBy = Optional.of(keys);
            Instant now = clock.instant();
            // Not whenCompleteAsync(): what went wrong in it would be known to nobody.
            CompletableFuture.supplyAsync(() -> judge.judge(token.raw(), keys, now), worker)
                    .whenComplete((verdict, error) -> loop.execute(() -> judged(keys, verdict, error)));
        }

        private void judged(VerificationKeys by, Verification verdict, Throwable error) {
            verifying--;
            settle(by, verdict, error);
            judgeNext();
        }

        private void settle(VerificationKeys by, Verification verdict, Throwable error) {
            if (error != null) {
                LOG.error("Verifying a token went wrong", error);
                end(new NotVerified(Reason.ERROR));
                return;
            }
            Optional<VerificationKeys> keys = currentKeys();
            if (keys.isEmpty()) {
                awaitKeys(new NotVerified(Reason.NO_KEYS));
            } else if (!keys.get().equals(by)) {
                judge();
            } else {
                remember(token, verdict);
                if (verdict instanceof NotVerified not && not.reason() == Reason.UNKNOWN_KEY) {
                    awaitKeys(not);
                } else {
                    end(verdict);
                }
            }
        }

        /** Waits for the next keys, if any may come while somebody waits here. */
        void awaitKeys(NotVerified otherwise) {
            meanwhile = otherwise;
            if (waiters.isEmpty()) {
                end(otherwise);
                return;
            }
            // Before the fetch begins, as it may end at once.
            awaitingKeys.add(this);
            boolean coming = otherwise.reason() == Reason.UNKNOWN_KEY ? keyRing.fetchAgain() : keyRing.underWay();
            if (!coming && awaitingKeys.remove(this)) {
                end(otherwise);
            }
        }

        void end(Verification verdict) {
            leave();
            waiters.answer(verdict);
        }

        private void leave() {
            flights.remove(token.fingerprint());
            waiting.leave(source, token);
        }
    }
}

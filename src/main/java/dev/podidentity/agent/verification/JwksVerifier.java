package dev.podidentity.agent.verification;

import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.FairQueue;
import dev.podidentity.agent.loop.FairQueue.Turn;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.loop.SingleFlight;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.NotVerified.Reason;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenFingerprint;
import dev.podidentity.agent.token.Verification;
import java.time.Clock;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.jboss.logging.Logger;

/**
 * Verifies tokens with the cluster's keys: each once, on the worker, because it takes up to a millisecond or two. Verdicts
 * are remembered, those on forged tokens separately, until the keys change, so that signatures of a withdrawn key are no
 * longer trusted. The token's times are compared with the clock at each use. A token whose key is unknown waits for the next
 * fetch of keys, if there will be one. If the key is still unknown, only EKS Auth checks the token, because the published
 * keys may be incomplete.
 *
 * <p>Confined to the event loop.
 */
public final class JwksVerifier implements TokenVerifier {

    private static final Logger LOG = Logger.getLogger(JwksVerifier.class);
    /** More than the CPUs of an agent would only wait elsewhere, and out of turn. */
    private static final int MOST_VERIFYING = 4;
    /** Enough for what one or two pods send repeatedly; more would only give them more memory. */
    private static final int MOST_FORGED = 256;
    private static final NotVerified NO_KEYS = new NotVerified(Reason.NO_KEYS);
    private static final NotVerified LIMIT = new NotVerified(Reason.LIMIT);

    private final KeyRing keyRing;
    private final BiFunction<String, VerificationKeys, Judgement> judge;
    private final Clock clock;
    private final Executor worker;
    private final Loop loop;

    private final BoundedMap<TokenFingerprint, Judgement> genuine;
    private final BoundedMap<TokenFingerprint, Judgement> others = new BoundedMap<>(MOST_FORGED);
    /** The keys of the remembered verdicts. The key ring returns the same object as long as the keys are the same. */
    private Optional<VerificationKeys> rememberedBy = Optional.empty();

    private final SingleFlight<TokenFingerprint, Flight> flights = new SingleFlight<>();
    private final VerificationRoom room = new VerificationRoom();
    private final FairQueue<Flight> queue = new FairQueue<>(MOST_VERIFYING, (source, flight) -> flight.judge());
    private final Set<Flight> awaitingKeys = new LinkedHashSet<>();

    /**
     * @param keyRing the cluster's keys; the caller starts and stops it
     * @param audience the audience that tokens must name
     * @param memory how many genuine tokens to remember; each takes about 1 KiB
     * @param clock the clock for the expiry of tokens
     * @param worker runs computations
     * @param loop the event loop to which this is confined
     */
    public JwksVerifier(
            KeyRing keyRing, String audience, int memory, Clock clock, Loop loop, Executor worker) {
        this(keyRing, new TokenJudge(audience)::judge, memory, clock, loop, worker);
    }

    /** Loads what the first token would otherwise wait for. Takes 100 ms or more on a JVM; for a worker. */
    public static void load() {
        TokenParser.load();
    }

    /** @param judge checks a token's text against keys, on the worker */
    JwksVerifier(
            KeyRing keyRing,
            BiFunction<String, VerificationKeys, Judgement> judge,
            int memory,
            Clock clock,
            Loop loop,
            Executor worker) {
        this.keyRing = keyRing;
        this.judge = judge;
        this.genuine = new BoundedMap<>(memory);
        this.clock = clock;
        this.worker = worker;
        this.loop = loop;
        keyRing.listen(this::news);
    }

    @Override
    public void verify(ServiceAccountToken token, String source, Consumer<Verification> verdict) {
        Flight underWay = flights.find(token.fingerprint());
        if (underWay != null) {
            underWay.join(verdict);
            return;
        }
        boolean keys = currentKeys().isPresent();
        Optional<Judgement> known = remembered(token);
        if (keys && known.isPresent() && !known.get().wantsOtherKeys()) {
            verdict.accept(known.get().at(clock.instant()));
            return;
        }
        if (!room.enter(source, token)) {
            verdict.accept(LIMIT);
            return;
        }
        Flight flight = new Flight(token, source);
        flights.begin(token.fingerprint(), flight);
        flight.join(verdict);
        if (!keys) {
            flight.awaitKeys(NO_KEYS);
        } else if (known.isPresent()) {
            flight.awaitKeys((NotVerified) known.get().verdict());
        } else {
            flight.queue();
        }
    }

    @Override
    public Verification known(ServiceAccountToken token, Instant now) {
        if (flights.find(token.fingerprint()) != null || currentKeys().isEmpty()) {
            return null;
        }
        Judgement judgement = genuine.get(token.fingerprint());
        return judgement == null || judgement.wantsOtherKeys() ? null : judgement.at(now);
    }

    /** Returns the current keys, by which the remembered verdicts were reached. */
    private Optional<VerificationKeys> currentKeys() {
        Optional<VerificationKeys> keys = keyRing.current();
        if (!same(keys, rememberedBy)) {
            genuine.clear();
            others.clear();
            rememberedBy = keys;
        }
        return keys;
    }

    private static boolean same(Optional<VerificationKeys> some, Optional<VerificationKeys> other) {
        return some.orElse(null) == other.orElse(null);
    }

    private Optional<Judgement> remembered(ServiceAccountToken token) {
        return Optional.ofNullable(genuine.get(token.fingerprint()))
                .or(() -> Optional.ofNullable(others.get(token.fingerprint())));
    }

    /** A fetch of keys has ended, or their file has been read. */
    private void news() {
        List<Flight> all = List.copyOf(awaitingKeys);
        awaitingKeys.clear();
        Optional<VerificationKeys> keys = currentKeys();
        for (Flight flight : all) {
            if (keys.isPresent() && !same(keys, flight.judgedBy)) {
                flight.queue();
            } else if (keyRing.underWay()) {
                awaitingKeys.add(flight);
            } else {
                flight.land(flight.meanwhile);
            }
        }
    }

    /** The verification of one token, and all requests that wait for it. */
    private final class Flight extends SingleFlight.Flight<Consumer<Verification>, Verification> {

        private final ServiceAccountToken token;
        private final String source;
        private Optional<VerificationKeys> judgedBy = Optional.empty();
        /** Returns the result for requests that cannot wait any longer. */
        private NotVerified meanwhile = LIMIT;
        private boolean judging;

        Flight(ServiceAccountToken token, String source) {
            super(loop);
            this.token = token;
            this.source = source;
        }

        void join(Consumer<Verification> verdict) {
            join(verdict, TokenVerification.PATIENCE, () -> meanwhile);
        }

        /** Verifies the token when its turn comes. */
        void queue() {
            meanwhile = LIMIT;
            queue.add(source, this);
        }

        private Turn judge() {
            Optional<VerificationKeys> keys = currentKeys();
            if (keys.isEmpty()) {
                awaitKeys(NO_KEYS);
                return Turn.DROPPED;
            }
            judging = true;
            judgedBy = keys;
            // Not whenCompleteAsync(), which would swallow exceptions.
            CompletableFuture.supplyAsync(() -> judge.apply(token.raw(), keys.get()), worker)
                    .whenComplete((judgement, error) -> loop.execute(() -> judged(judgement, error)));
            return Turn.STARTED;
        }

        private void judged(Judgement judgement, Throwable error) {
            judging = false;
            queue.done();
            Optional<VerificationKeys> keys = currentKeys();
            if (error != null) {
                LOG.error("Verifying a token failed unexpectedly", error);
                land(new NotVerified(Reason.ERROR));
            } else if (keys.isEmpty()) {
                awaitKeys(NO_KEYS);
            } else if (!same(keys, judgedBy)) {
                queue();
            } else {
                (judgement.genuine() ? genuine : others).put(token.fingerprint(), judgement);
                if (judgement.wantsOtherKeys()) {
                    awaitKeys((NotVerified) judgement.verdict());
                } else {
                    land(judgement.at(clock.instant()));
                }
            }
        }

        /** Waits for the next keys, if any may arrive while a request waits. */
        void awaitKeys(NotVerified otherwise) {
            meanwhile = otherwise;
            if (deserted()) {
                land(otherwise);
                return;
            }
            // Before the fetch starts, because it may end immediately.
            awaitingKeys.add(this);
            boolean coming = otherwise.reason() == Reason.UNKNOWN_KEY ? keyRing.fetchAgain() : keyRing.underWay();
            if (!coming && awaitingKeys.remove(this)) {
                land(otherwise);
            }
        }

        /** No request waits any more. Work on the worker continues, and its result is remembered. */
        @Override
        protected void left() {
            if (!judging) {
                awaitingKeys.remove(this);
                queue.withdraw(source, this);
                land(meanwhile);
            }
        }

        void land(Verification verdict) {
            if (end(verdict)) {
                room.leave(source, token);
            }
        }
    }
}

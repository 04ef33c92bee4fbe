package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.credentials.ModelCluster.Key;
import dev.podidentity.agent.credentials.ModelCluster.Kind;
import dev.podidentity.agent.credentials.ModelCluster.Owner;
import dev.podidentity.agent.credentials.ModelCluster.Token;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.loop.Loop;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.TestLoop;
import dev.podidentity.agent.testing.Tokens;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.RejectedToken;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.TokenReader;
import dev.podidentity.agent.token.TokenReader.Reading;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import dev.podidentity.agent.verification.JwksVerifier;
import dev.podidentity.agent.verification.KeyRing;
import dev.podidentity.agent.verification.KeySource;
import dev.podidentity.agent.verification.LivingPods;
import dev.podidentity.agent.verification.ManualExecutor;
import dev.podidentity.agent.verification.ReviewVerifier;
import dev.podidentity.agent.verification.TokenReviewer;
import dev.podidentity.agent.verification.TokenVerification;
import dev.podidentity.agent.verification.TokenVerifier;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Checks the verifier and the service together, with real signatures, on a node where everything that can go wrong does:
 * genuine tokens come from several issuers, nodes and keys, and some are expired, unbound or refused; attackers forge tokens
 * of every kind; keys are rotated, withdrawn and stolen; the API server fails, hangs, or denies access; pods die at any
 * time; the clock jumps; and EKS Auth fails, throttles, hangs, refuses, and returns credentials for another service account.
 *
 * <p>A model that knows the truth about every token, and nothing of the service's cache keys, decides whether each verdict
 * is true and whether each request may have its answer. The message of a failure contains the seed that repeats the run.
 */
@ExtendWith(QuietLog.class)
class VerifiedServiceModelTest {

    private static final int RUNS = 15;
    private static final int STEPS = 300;
    /** Each event must happen more often than this, over all runs. */
    private static final int OFTEN = RUNS / 2;
    private static final int PODS = 8;
    /** Fewer than there are identities, so that entries are evicted and fetched again. */
    private static final int CAPACITY = 4;
    private static final int FETCHES = 3;
    /** The most that one call may take, as EKS Auth's client and the API server's client promise. */
    private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(5);
    /**
     * Longer than the longest pause of a verifier that is denied access, and than the 30 minutes in which the model reissues
     * the same token.
     */
    private static final Duration RECOVERY = Duration.ofMinutes(31);
    private static final CallFailure DOWN = new CallFailure("The API server does not answer", false);
    private static final CallFailure MAY_NOT = new CallFailure("The agent may not ask", true);
    private static final String API_SERVER = "https://kubernetes.default.svc";
    private static final Pattern CALL = Pattern.compile("call (\\d+)");

    /** The kinds of verifier. */
    private enum Mode {
        JWKS,
        TOKEN_REVIEW
    }

    static Stream<Arguments> combinations() {
        return Arrays.stream(Mode.values())
                .flatMap(mode -> Arrays.stream(CoalesceScope.values()).map(scope -> Arguments.of(mode, scope)));
    }

    @ParameterizedTest
    @MethodSource("combinations")
    void noRequestReceivesWhatItsTokenDoesNotProve(Mode mode, CoalesceScope scope) {
        // Given
        Counts counts = new Counts();
        for (long seed = 0; seed < RUNS; seed++) {
            // When
            Node node = new Node(mode, scope, seed, counts);
            // Then
            node.live();
        }
        counts.checkThatAllOfItHappened(mode, scope);
    }

    private enum Event {
        VERIFIED,
        NOT_VERIFIED,
        FORGERY_REJECTED,
        FORGERY_LEFT_TO_EKS_AUTH,
        STOLEN_KEY_SHOWN,
        SECOND_ISSUER_SHOWN,
        UNBOUND_SHOWN,
        EXPIRED_SHOWN,
        OTHER_NODE_REJECTED,
        DEAD_REJECTED,
        NO_LONGER_VERIFIED,
        SERVED_THE_SHORT_WAY,
        SERVED_OWN,
        SERVED_OF_ANOTHER_TOKEN,
        SERVED_OF_ANOTHER_POD,
        TOKEN_REFUSED,
        REFUSED_SHOWN_AGAIN,
        ACCOUNT_REFUSED,
        WRONG_SUBJECT,
        THROTTLED,
        HUNG,
        ISSUED_LATE,
        DIED_WHILE_VERIFYING,
        DIED_WHILE_CALLING,
        TOLD_LATER,
        TURNED_AWAY,
        ABANDONED,
        CLOCK_JUMPED,
        SOURCE_FAILED,
        SOURCE_FORBIDS,
        KEYS_CHANGED,
        RENEWED;

        boolean happens(Mode mode, CoalesceScope scope) {
            return switch (this) {
                case SERVED_OF_ANOTHER_TOKEN -> scope != CoalesceScope.TOKEN;
                case SERVED_OF_ANOTHER_POD -> scope == CoalesceScope.ROLE;
                case KEYS_CHANGED, NO_LONGER_VERIFIED -> mode == Mode.JWKS;
                default -> true;
            };
        }
    }

    /** Counts the events of all runs, because a promise is tested only if the events that could break it have happened. */
    private static final class Counts {

        private final Map<Event, Integer> counts = new EnumMap<>(Event.class);

        void count(Event event) {
            counts.merge(event, 1, Integer::sum);
        }

        void checkThatAllOfItHappened(Mode mode, CoalesceScope scope) {
            assertThat(Event.values()).allSatisfy(event -> {
                int times = counts.getOrDefault(event, 0);
                assertThat(times > OFTEN).as("%s, %d times", event, times).isEqualTo(event.happens(mode, scope));
            });
        }
    }

    /** Keys that the agent has received. */
    private record Given(String issuer, Set<Key> keys) {

        boolean prove(Token token) {
            return issuer.equals(token.issuer()) && keys.contains(token.key());
        }
    }

    /** Runs one simulation: the pods of the node, its clients, and everything that the model knows. */
    private static final class Node {

        private final Mode mode;
        private final CoalesceScope scope;
        private final long seed;
        private final Counts counts;
        private final Random random;
        private final ServiceFixture fixture;
        private final ModelCluster cluster;
        private final TokenReader reader;
        private final TokenVerification verification;
        private final CachedTokens cachedTokens;
        private final Optional<KeyRing> ring;
        private final ManualExecutor worker = new ManualExecutor();
        private final List<Question> questions = new ArrayList<>();
        /** The tokens of each pod, living or dead, newest last. */
        private final Map<Owner, List<Token>> held = new HashMap<>();
        private final List<Owner> living = new ArrayList<>();
        private final List<Owner> dead = new ArrayList<>();
        /** Dead pods that the watch has not seen go. */
        private final List<Owner> unknown = new ArrayList<>();
        /** Dead pods that the watch has seen go, before the service is notified. */
        private final List<Owner> untold = new ArrayList<>();
        private final Set<Token> revoked = new HashSet<>();
        /** Tokens that EKS Auth has refused for good. */
        private final Set<Token> refused = new HashSet<>();
        /** Calls that returned credentials for another service account. */
        private final Set<Integer> wrong = new HashSet<>();
        /** Calls whose credentials came while the clock was wrong, so that their expiry is unknown. */
        private final Set<Integer> misdated = new HashSet<>();
        private final Set<Token> everVerified = new HashSet<>();
        /** The API server's latest verdict on each token. */
        private final Map<Token, Boolean> reviewed = new HashMap<>();
        /**
         * The keys that the agent may use: those that it received last, and earlier ones while it may not have read the
         * last.
         */
        private final List<Given> given = new ArrayList<>();
        private final List<Client> waiting = new ArrayList<>();
        /** Failed checks. They are collected because the service might swallow an error that is thrown into it. */
        private final List<AssertionError> violations = new ArrayList<>();
        private boolean trouble = true;
        private boolean workerHeld;
        /** The number of steps for which the API server cannot be reached. */
        private int awayFor;
        /** The number of steps for which the wall clock stays wrong. */
        private int wrongFor;

        Node(Mode mode, CoalesceScope scope, long seed, Counts counts) {
            this.mode = mode;
            this.scope = scope;
            this.seed = seed;
            this.counts = counts;
            random = new Random(seed);
            fixture = new ServiceFixture(new CredentialSettings(
                    Duration.ofHours(3),
                    CAPACITY,
                    seed % 3 == 0 ? 0 : 2,
                    FETCHES,
                    ServiceFixture.FLIGHT_TIMEOUT));
            cluster = new ModelCluster(fixture.time, random);
            reader = new TokenReader(Tokens.AUDIENCE, TokenVerification.LEEWAY, fixture.time.clock());
            Loop loop = new TestLoop(
                    (delay, task) -> fixture.time.schedule(delay, () -> fixture.loop.execute(task)), fixture.loop);
            ring = mode == Mode.JWKS
                    ? Optional.of(new KeyRing(
                            new Keys(), Optional.empty(), Optional.empty(), fixture.metrics, fixture.time.clock(),
                            fixture.time.nanos(), loop, worker, random::nextDouble))
                    : Optional.empty();
            TokenVerifier verifier = ring.<TokenVerifier>map(keys -> new JwksVerifier(
                            keys, Tokens.AUDIENCE, 2000, fixture.time.clock(), loop, worker))
                    .orElseGet(() -> new ReviewVerifier(
                            new Reviews(), 2000, fixture.time.clock(), fixture.time.nanos(), loop,
                            random::nextDouble));
            LivingPods pods = (podUid, issuedAt) -> fixture.gone.contains(podUid);
            verification = new TokenVerification(
                    Optional.of(verifier), Optional.of(ModelCluster.NODE), pods, fixture.metrics, fixture.time.nanos());
            cachedTokens = new CachedTokens(
                    fixture.service, verification, scope, TokenVerification.LEEWAY, fixture.time.clock());
            fixture.eksAuth.script(this::called);
            for (int i = 0; i < PODS; i++) {
                create("web-" + i % 3);
            }
            fixture.loop.execute(() -> ring.ifPresent(KeyRing::start));
            fixture.renewer.start();
        }

        void live() {
            int step = 0;
            try {
                for (; step < STEPS; step++) {
                    step();
                    check();
                }
                recover();
                finish();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError(mode + ", scope " + scope + ", seed " + seed + ", step " + step, e);
            }
        }

        private void step() {
            fixture.random = random.nextDouble();
            awayFor = Math.max(0, awayFor - 1);
            if (wrongFor > 0) {
                wrongFor--;
                if (wrongFor == 0) {
                    fixture.time.setClockAhead(Duration.ZERO);
                }
            }
            switch (random.nextInt(38)) {
                case 0, 1, 2, 3, 4, 5, 6, 7 -> ask(anyOf(living));
                case 8, 9, 10 -> forge();
                case 11 -> ask(dead.isEmpty() ? anyOf(living) : anyOf(dead));
                case 12, 13 -> issue(anyOf(living));
                case 14, 15 -> die(random.nextInt(4) == 0 ? anyOf(living) : podThatWaits());
                case 16 -> know();
                case 17 -> revoke(anyOf(living));
                case 18 -> withAny(waiting, Client::abandon);
                case 19, 20, 21, 22 -> withAny(fixture.eksAuth.open(), this::end);
                case 23 -> withAny(questions, Question::end);
                case 24 -> changeKeys();
                case 25, 26 -> work();
                case 27, 28 -> fixture.time.advanceMillis(1 + random.nextInt(300));
                case 29 -> fixture.time.advanceMillis(1 + random.nextInt(3000));
                case 30 -> {
                    counts.count(Event.CLOCK_JUMPED);
                    wrongFor = 1 + random.nextInt(10);
                    fixture.time.setClockAhead(Duration.ofHours(random.nextBoolean() ? 2 : -2));
                }
                case 31, 32, 33, 34 -> ask(anyOf(living));
                case 35 -> awayFor = random.nextInt(2) * random.nextInt(20);
                default -> advance(
                        random.nextInt(3) == 0
                                ? Duration.ofMinutes(1 + random.nextInt(200))
                                : Duration.ofSeconds(1 + random.nextInt(600)));
            }
        }

        /**
         * Advances the time by seconds at most while the clock is wrong. Longer steps release the worker first, because it
         * never takes that long.
         */
        private void advance(Duration time) {
            if (!fixture.time.error().isZero()) {
                fixture.time.advanceMillis(random.nextInt(3000));
                return;
            }
            release();
            fixture.time.advance(time);
        }

        // The cluster

        private void create(String name) {
            Owner owner = cluster.newPod(name);
            living.add(owner);
            held.put(owner, new ArrayList<>());
            issue(owner);
        }

        private void issue(Owner owner) {
            List<Token> tokens = held.get(owner);
            tokens.add(cluster.issue(owner));
            if (tokens.size() > 3) {
                tokens.remove(0);
            }
        }

        /** Replaces a pod by one of the same name, as a StatefulSet does; the new pod may have another service account. */
        private void die(Owner owner) {
            living.remove(owner);
            dead.add(owner);
            if (dead.size() > PODS) {
                held.remove(dead.remove(0));
            }
            unknown.add(owner);
            if (random.nextInt(3) > 0) {
                know();
            }
            if (random.nextInt(4) == 0) {
                cluster.recreateAccounts();
            }
            create(owner.pod());
        }

        /**
         * Makes the watch see that pods are gone. The service is notified of them now, or only of the pods that went before.
         */
        private void know() {
            boolean atOnce = random.nextBoolean();
            if (!atOnce) {
                tell();
            }
            for (Owner owner : unknown) {
                fixture.gone.add(owner.podUid());
                untold.add(owner);
                waiting.stream().filter(client -> client.token.owner().equals(owner)).forEach(client ->
                        counts.count(client.verdict == null ? Event.DIED_WHILE_VERIFYING : Event.DIED_WHILE_CALLING));
            }
            unknown.clear();
            if (atOnce) {
                tell();
            } else if (!untold.isEmpty()) {
                counts.count(Event.TOLD_LATER);
            }
        }

        private void tell() {
            untold.forEach(owner -> fixture.loop.execute(() -> fixture.service.podGone(owner.podUid())));
            untold.clear();
        }

        private void revoke(Owner owner) {
            if (random.nextInt(5) == 0) {
                revoked.addAll(held.get(owner));
            }
        }

        private void changeKeys() {
            switch (random.nextInt(6)) {
                case 0, 1 -> cluster.addKey();
                case 2, 3 -> cluster.withdrawKey();
                case 4 -> cluster.switchIssuer();
                default -> {
                    // The keys stay the same for a while.
                }
            }
        }

        private <T> T anyOf(List<T> list) {
            return list.get(random.nextInt(list.size()));
        }

        private <T> void withAny(List<T> list, Consumer<T> action) {
            if (!list.isEmpty()) {
                action.accept(anyOf(list));
            }
        }

        private Owner podThatWaits() {
            List<Owner> all = waiting.stream()
                    .map(client -> client.token.owner())
                    .filter(living::contains)
                    .toList();
            return all.isEmpty() ? anyOf(living) : anyOf(all);
        }

        // The agent's clients

        private void ask(Owner owner) {
            List<Token> tokens = held.get(owner);
            boolean useless = tokens.stream().allMatch(token -> expired(token) || refused.contains(token));
            if (useless && living.contains(owner) && random.nextInt(3) > 0) {
                issue(owner);
            }
            Token token = anyOf(tokens);
            count(Event.REFUSED_SHOWN_AGAIN, refused.contains(token));
            count(Event.EXPIRED_SHOWN, expired(token));
            count(Event.UNBOUND_SHOWN, !token.bound());
            count(Event.SECOND_ISSUER_SHOWN, !token.issuer().equals(cluster.issuer()));
            request(token);
        }

        private void forge() {
            List<Kind> kinds = Arrays.stream(Kind.values())
                    .filter(kind -> kind != Kind.GENUINE)
                    .filter(kind -> kind != Kind.STOLEN_KEY || cluster.hasWithdrawn())
                    .toList();
            Kind kind = anyOf(kinds);
            count(Event.STOLEN_KEY_SHOWN, kind == Kind.STOLEN_KEY);
            request(cluster.forge(kind, anyOf(living), anyOf(held.get(anyOf(living)))));
        }

        private Client request(Token token) {
            forgetOldKeys();
            Client client = new Client(token);
            waiting.add(client);
            fixture.loop.execute(() -> client.ask("10.0.0." + random.nextInt(3)));
            return client;
        }

        private boolean expired(Token token) {
            return !token.expiresAt().isAfter(fixture.time.now());
        }

        private boolean knownToBeGone(Token token) {
            return token.bound() && fixture.gone.contains(token.owner().podUid());
        }

        private boolean ofAnotherNode(Token token) {
            return !token.node().isEmpty() && !token.node().equals(ModelCluster.NODE);
        }

        // The worker

        private void work() {
            if (!workerHeld) {
                workerHeld = true;
                worker.hold();
            } else if (worker.waiting() > 0 && random.nextInt(3) > 0) {
                // Completes the first or the last task, as two threads of the worker could.
                fixture.loop.execute(() -> {
                    if (random.nextBoolean()) {
                        worker.run(1);
                    } else {
                        worker.runLast();
                    }
                });
            } else {
                release();
            }
        }

        private void release() {
            workerHeld = false;
            fixture.loop.execute(worker::release);
        }

        // The API server, which knows the truth

        /** A request from the agent to the API server. */
        private abstract class Question {

            Question() {
                questions.add(this);
                fixture.time.schedule(ATTEMPT_TIMEOUT, () -> fixture.loop.execute(() -> failed(DOWN)));
            }

            /** Responds now, or leaves the request open to be answered later. */
            void asked() {
                if (!trouble || awayFor == 0 && random.nextInt(3) > 0) {
                    end();
                }
            }

            void end() {
                int how = trouble ? random.nextInt(12) : 12;
                fixture.loop.execute(() -> {
                    if (awayFor > 0 || how == 0) {
                        failed(DOWN);
                    } else if (how == 1) {
                        failed(MAY_NOT);
                    } else {
                        answer(how);
                    }
                });
            }

            private void failed(CallFailure failure) {
                if (questions.remove(this)) {
                    counts.count(failure.forbidden() ? Event.SOURCE_FORBIDS : Event.SOURCE_FAILED);
                    fail(failure);
                }
            }

            abstract void answer(int how);

            abstract void fail(CallFailure failure);
        }

        /** Publishes the signing keys. */
        private final class Keys implements KeySource {

            @Override
            public Future<PublishedKeys> fetch() {
                Promise<PublishedKeys> promise = Promise.promise();
                new Question() {

                    @Override
                    void answer(int how) {
                        questions.remove(this);
                        Given now = new Given(cluster.issuer(), Set.copyOf(cluster.keys()));
                        count(Event.KEYS_CHANGED, !given.isEmpty() && !given.get(given.size() - 1).equals(now));
                        given.add(now);
                        promise.complete(cluster.published());
                    }

                    @Override
                    void fail(CallFailure failure) {
                        promise.fail(failure);
                    }
                }.asked();
                return promise.future();
            }
        }

        /** Forgets earlier keys once the worker has read the latest ones, which is when no task waits. */
        private void forgetOldKeys() {
            if (worker.waiting() == 0 && given.size() > 1) {
                given.subList(0, given.size() - 1).clear();
            }
        }

        /** Answers TokenReviews. */
        private final class Reviews implements TokenReviewer {

            @Override
            public Future<Verification> review(ServiceAccountToken asked) {
                Token token = cluster.token(asked.raw());
                Promise<Verification> promise = Promise.promise();
                new Question() {

                    @Override
                    void answer(int how) {
                        questions.remove(this);
                        Verification verdict = how == 2 ? new NotVerified(NotVerified.Reason.API_SERVER) : truth(token);
                        if (how != 2) {
                            reviewed.put(token, !(verdict instanceof RejectedToken));
                        }
                        promise.complete(verdict);
                    }

                    @Override
                    void fail(CallFailure failure) {
                        promise.fail(failure);
                    }
                }.asked();
                return promise.future();
            }

            private Verification truth(Token token) {
                if (!accepts(token) || token.bound() && !living.contains(token.owner())) {
                    return new RejectedToken(RejectedToken.Kind.INVALID, "The API server does not accept the token");
                }
                return token.bound()
                        ? claims(token, API_SERVER)
                        : new NotVerified(NotVerified.Reason.NO_POD);
            }
        }

        private boolean accepts(Token token) {
            return token.genuine()
                    && cluster.keys().contains(token.key())
                    && !expired(token)
                    && !revoked.contains(token);
        }

        private static VerifiedClaims claims(Token token, String issuer) {
            Owner owner = token.owner();
            return new VerifiedClaims(
                    issuer, owner.namespace(), owner.account(), owner.accountUid(), owner.pod(), owner.podUid(),
                    Optional.of(token.node()).filter(node -> !node.isEmpty()));
        }

        // EKS Auth, which knows the genuine tokens, but not which pods live

        private void called(FakeEksAuth.Call call) {
            Token token = cluster.token(call.token().raw());
            collect(() -> {
                assertThat(knownToBeGone(token)).as("%s is of a dead pod", token).isFalse();
                assertThat(ofAnotherNode(token)).as("%s is of another node", token).isFalse();
                assertThat(refused.contains(token)).as("a call with %s, which was refused", token).isFalse();
            });
            fixture.time.schedule(ATTEMPT_TIMEOUT, () -> {
                count(Event.HUNG, !call.ended());
                answer(call, unavailable(call));
            });
            if (!trouble || random.nextInt(3) == 0) {
                end(call);
            }
        }

        private void end(FakeEksAuth.Call call) {
            if (call.ended()) {
                return;
            }
            Token token = cluster.token(call.token().raw());
            int how = trouble ? random.nextInt(20) : 20;
            if (how < 2) {
                answer(call, unavailable(call));
            } else if (how == 2) {
                counts.count(Event.THROTTLED);
                answer(call, new TransientFailure(TransientFailure.Reason.THROTTLED, "call " + call.number()));
            } else if (!accepts(token) || how == 3 || how == 8) {
                counts.count(Event.TOKEN_REFUSED);
                refused.add(token);
                answer(call, new PermanentFailure(
                        expired(token) ? PermanentFailure.Reason.EXPIRED_TOKEN : PermanentFailure.Reason.INVALID_TOKEN,
                        "call " + call.number()));
            } else if (how < 6) {
                counts.count(Event.ACCOUNT_REFUSED);
                answer(call, new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED, "call " + call.number()));
            } else if (how < 8) {
                counts.count(Event.WRONG_SUBJECT);
                wrong.add(call.number());
                Owner owner = token.owner();
                issue(call, how == 6 ? "elsewhere" : owner.namespace(), how == 6 ? owner.account() : "other");
            } else {
                count(Event.ISSUED_LATE, !fixture.time.now().equals(call.at()));
                issue(call, token.owner().namespace(), token.owner().account());
            }
        }

        private void issue(FakeEksAuth.Call call, String namespace, String account) {
            boolean right = fixture.time.error().isZero();
            if (!right) {
                misdated.add(call.number());
            }
            long seconds = right && random.nextInt(4) == 0
                    ? 1 + random.nextInt(1200)
                    : 3600L * (1 + random.nextInt(12));
            Instant expiration = fixture.time.now().plusSeconds(seconds);
            fixture.loop.execute(() -> call.succeedFor(namespace, account, expiration));
        }

        private void answer(FakeEksAuth.Call call, EksAuthAnswer answer) {
            fixture.loop.execute(() -> call.answer(answer));
        }

        private static EksAuthFailure unavailable(FakeEksAuth.Call call) {
            return new TransientFailure(TransientFailure.Reason.UNAVAILABLE, "call " + call.number());
        }

        // Invariants

        private void check() {
            assertThat(violations).isEmpty();
            assertThat(fixture.service.entries()).hasSizeLessThanOrEqualTo(CAPACITY);
            fixture.service.entries().forEach(this::checkEntry);
        }

        /**
         * Checks that an entry holds only tokens that may share it and were not refused, of pods that are not known to be
         * gone.
         */
        private void checkEntry(CacheEntry entry) {
            List<Token> sharing = entry.pods().all().stream()
                    .map(caller -> cluster.token(caller.token().raw()))
                    .toList();
            assertThat(sharing).isNotEmpty().noneMatch(Token::forged).noneMatch(refused::contains);
            assertThat(sharing).allMatch(token -> !knownToBeGone(token) || untold.contains(token.owner()));
            if (sharing.size() > 1) {
                assertThat(sharing).allMatch(token -> everVerified.contains(token) && sameWorkload(token, sharing.get(0)));
            }
        }

        private boolean sameWorkload(Token one, Token other) {
            // The API server has several issuers, but TokenReview names only one.
            boolean sameIssuer = mode == Mode.TOKEN_REVIEW || one.issuer().equals(other.issuer());
            return sameIssuer && switch (scope) {
                case TOKEN -> one.equals(other);
                case POD -> one.owner().samePod(other.owner());
                case ROLE -> one.owner().sameAccount(other.owner());
            };
        }

        /** Ends all trouble, and checks that every pod of the node then gets credentials. */
        private void recover() {
            trouble = false;
            awayFor = 0;
            wrongFor = 0;
            fixture.time.setClockAhead(Duration.ZERO);
            know();
            tell();
            release();
            List.copyOf(questions).forEach(Question::end);
            fixture.eksAuth.open().forEach(this::end);
            fixture.time.advance(RECOVERY);
            check();
            assertThat(waiting).isEmpty();
            for (Owner owner : living) {
                if (owner.node().equals(ModelCluster.NODE)) {
                    Token token = cluster.issueUsual(owner);
                    Client client = request(token);
                    assertThat(client.verdict).as("verdict on %s", token).isInstanceOf(VerifiedClaims.class);
                    assertThat(client.answer.outcome()).as("answer to %s", token).isInstanceOf(Outcome.Served.class);
                }
            }
            check();
        }

        private void finish() {
            int renewed = fixture.renewals(RenewalResult.SUCCESS);
            for (int i = 0; i < renewed; i++) {
                counts.count(Event.RENEWED);
            }
            ring.ifPresent(KeyRing::stop);
            fixture.settle();
            assertThat(questions).isEmpty();
            assertThat(fixture.queued()).as("calls that wait for their turn").isZero();
            assertThat(worker.waiting()).isZero();
        }

        private void count(Event event, boolean happened) {
            if (happened) {
                counts.count(event);
            }
        }

        private void collect(Runnable check) {
            try {
                check.run();
            } catch (AssertionError violation) {
                violations.add(violation);
            }
        }

        /** A request that passes through reader, verifier and service, and checks what it is told. */
        private final class Client {

            private final Token token;
            private final RecordingAnswer answer = new RecordingAnswer(fixture.time);
            private final Instant askedAt = fixture.time.now();
            private final boolean clockWasRight = fixture.time.error().isZero();
            private final boolean unexpired;
            private String source;
            private Verification verdict;

            Client(Token token) {
                this.token = token;
                unexpired = token.expiresAt().isAfter(fixture.time.clock().instant());
                answer.waitsFor(() -> {});
            }

            void ask(String from) {
                source = from;
                byte[] shown = token.raw().getBytes(StandardCharsets.UTF_8);
                Credentials hit = cachedTokens.hit(shown, 0, shown.length);
                askTheWholeWay();
                if (hit != null) {
                    counts.count(Event.SERVED_THE_SHORT_WAY);
                    collect(() -> {
                        assertThat(answer.cache()).as("the whole way's answer").isEqualTo(CacheOutcome.HIT);
                        assertThat(answer.credentials()).as("the whole way's credentials").isSameAs(hit);
                    });
                }
            }

            private void askTheWholeWay() {
                Reading reading = reader.read(List.of(token.raw()));
                if (reading instanceof ServiceAccountToken read) {
                    verification.verify(read, source, given -> verified(read, given));
                } else {
                    verified(null, (RejectedToken) reading);
                }
            }

            void abandon() {
                counts.count(Event.ABANDONED);
                waiting.remove(this);
                fixture.loop.execute(answer::abandon);
            }

            private void verified(ServiceAccountToken read, Verification given) {
                collect(() -> {
                    assertThat(verdict).as("a second verdict").isNull();
                    checkVerdict(given);
                });
                verdict = given;
                if (given instanceof VerifiedClaims) {
                    everVerified.add(token);
                }
                if (answer.abandoned()) {
                    return;
                }
                if (given instanceof RejectedToken rejected) {
                    answered(new Outcome.Rejected(rejected, CacheOutcome.NONE));
                } else {
                    Duration waited = Duration.between(askedAt, fixture.time.now());
                    answer.waitsFor(fixture.service.request(
                            Caller.of(read, given, scope), source, ServiceFixture.DEADLINE, waited, this::answered));
                }
            }

            private void checkVerdict(Verification verification) {
                assertThat(Duration.between(askedAt, fixture.time.now()))
                        .isLessThanOrEqualTo(TokenVerification.PATIENCE);
                if (verification instanceof VerifiedClaims claims) {
                    counts.count(Event.VERIFIED);
                    checkVerified(claims);
                } else if (verification instanceof RejectedToken) {
                    count(Event.FORGERY_REJECTED, token.forged());
                    count(Event.OTHER_NODE_REJECTED, token.genuine() && ofAnotherNode(token));
                    count(Event.DEAD_REJECTED, token.genuine() && knownToBeGone(token));
                    checkRejected();
                } else {
                    NotVerified.Reason reason = ((NotVerified) verification).reason();
                    assertThat(reason).isNotIn(NotVerified.Reason.ERROR, NotVerified.Reason.OFF);
                    count(Event.NOT_VERIFIED, token.genuine());
                    count(Event.FORGERY_LEFT_TO_EKS_AUTH, token.forged());
                    count(Event.NO_LONGER_VERIFIED, mode == Mode.JWKS && everVerified.contains(token));
                    assertThat(knownToBeGone(token)).as("%s is of a dead pod", token).isFalse();
                }
            }

            private void checkVerified(VerifiedClaims claims) {
                assertThat(token.forged()).as("%s is forged", token).isFalse();
                assertThat(token.bound()).as("%s names a pod", token).isTrue();
                assertThat(claims).isEqualTo(claims(token, mode == Mode.JWKS ? token.issuer() : API_SERVER));
                assertThat(ofAnotherNode(token)).as("%s is of another node", token).isFalse();
                assertThat(knownToBeGone(token)).as("%s is of a dead pod", token).isFalse();
                assertThat(proved()).as("%s is good by what the agent was told", token).isTrue();
            }

            private boolean proved() {
                return mode == Mode.JWKS
                        ? given.stream().anyMatch(keys -> keys.prove(token))
                        : reviewed.getOrDefault(token, false);
            }

            /** Checks that no valid token is rejected unless the clock is wrong. */
            private void checkRejected() {
                if (!token.genuine()) {
                    return;
                }
                boolean disproved = mode == Mode.JWKS
                        ? !given.stream().allMatch(keys -> keys.keys().contains(token.key()))
                        : !reviewed.getOrDefault(token, true);
                boolean clockIsRight = clockWasRight && fixture.time.error().isZero();
                assertThat(disproved
                                || !clockIsRight
                                || expired(token)
                                || ofAnotherNode(token)
                                || knownToBeGone(token))
                        .as("%s was rejected rightly", token)
                        .isTrue();
            }

            private void answered(Outcome outcome) {
                waiting.remove(this);
                collect(() -> {
                    assertThat(answer.abandoned()).as("abandoned").isFalse();
                    answer.accept(outcome);
                    assertThat(answer.answers()).as("answers").isEqualTo(1);
                    assertThat(answer.took()).isLessThanOrEqualTo(ServiceFixture.DEADLINE);
                    if (outcome instanceof Outcome.Served) {
                        checkServed(cluster.token(answer.issuedFor()), answer.issuedByCall());
                    } else if (outcome instanceof Outcome.Failed) {
                        checkFailed(answer.failure());
                    } else if (!(verdict instanceof RejectedToken)) {
                        counts.count(Event.TURNED_AWAY);
                        assertThat(knownToBeGone(token)).as("%s is of a dead pod", token).isTrue();
                    }
                });
            }

            private void checkServed(Token fetchedWith, int call) {
                assertThat(token.forged()).as("%s is forged", token).isFalse();
                assertThat(unexpired).as("%s was good when it was shown", token).isTrue();
                assertThat(refused.contains(token)).as("%s was refused", token).isFalse();
                assertThat(knownToBeGone(token)).as("%s is of a dead pod", token).isFalse();
                assertThat(ofAnotherNode(token)).as("%s is of another node", token).isFalse();
                assertThat(wrong).as("answers for another").doesNotContain(call);
                if (fixture.time.error().isZero() || !misdated.contains(call)) {
                    assertThat(answer.credentials().expiration()).as("expiration").isAfter(fixture.time.now());
                }
                assertThat(mayHave(fetchedWith))
                        .as("%s, of which %s is known, is served what was fetched with %s", token, verdict, fetchedWith)
                        .isTrue();
                count(Event.SERVED_OWN, token.equals(fetchedWith));
                count(Event.SERVED_OF_ANOTHER_TOKEN, !token.equals(fetchedWith));
                count(Event.SERVED_OF_ANOTHER_POD, !token.owner().samePod(fetchedWith.owner()));
            }

            /**
             * Checks that a client is told neither of a failure of another identity nor of a fault in another pod's token.
             */
            private void checkFailed(EksAuthFailure failure) {
                Matcher call = CALL.matcher(failure.message());
                if (call.matches()) {
                    FakeEksAuth.Call made = fixture.eksAuth.calls().get(Integer.parseInt(call.group(1)));
                    Token fetchedWith = cluster.token(made.token().raw());
                    assertThat(mayHave(fetchedWith)).as("%s is told of %s", token, fetchedWith).isTrue();
                }
                if (failure instanceof PermanentFailure permanent && permanent.ofToken()) {
                    assertThat(refused.contains(token)).as("%s was refused", token).isTrue();
                }
            }

            /**
             * Returns whether the request may have credentials that were fetched with the given token: its own token, or one
             * of the same workload if both were verified.
             */
            private boolean mayHave(Token fetchedWith) {
                return token.equals(fetchedWith)
                        || verdict instanceof VerifiedClaims
                                && everVerified.contains(fetchedWith)
                                && sameWorkload(token, fetchedWith);
            }

            @Override
            public String toString() {
                return "request with " + token + ", verdict " + verdict;
            }
        }
    }
}

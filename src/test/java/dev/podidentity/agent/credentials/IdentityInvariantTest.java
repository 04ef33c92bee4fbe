package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.eksauth.EksAuthFailure;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.TransientFailure;
import dev.podidentity.agent.token.NotVerified;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import dev.podidentity.agent.token.Verification;
import dev.podidentity.agent.token.VerifiedClaims;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
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
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Checks that no request gets credentials that were fetched for another identity, on a node where everything that can go
 * wrong does: service accounts share a name across namespaces or reuse a deleted account's name; pods are recreated under
 * their old names; tokens are rotated, revoked and forged, and sometimes cannot be verified; EKS Auth fails, hangs, refuses,
 * and returns credentials for another service account; pods die, even during a call; entries are evicted; and the clock
 * jumps forwards and backwards.
 *
 * <p>A model that knows nothing of the service's cache keys decides for every answer whether that request may have it. The
 * message of a failure contains the seed that repeats the run.
 */
@ExtendWith(QuietLog.class)
class IdentityInvariantTest {

    private static final int RUNS = 120;
    private static final int STEPS = 300;
    private static final int PODS = 8;
    /** Fewer than there are identities, so that entries are evicted and fetched again. */
    private static final int CAPACITY = 4;
    private static final int FETCHES = 3;
    private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(5);
    private static final Pattern CALL = Pattern.compile("call (\\d+)");

    @ParameterizedTest
    @EnumSource
    void noRequestReceivesAnEntryFetchedForAnotherIdentity(CoalesceScope scope) {
        // Given
        Counts counts = new Counts();
        for (long seed = 0; seed < RUNS; seed++) {
            // When
            Node node = new Node(scope, seed, counts);
            // Then
            node.live();
        }
        counts.checkThatAllOfItHappened(scope);
    }

    /** Counts the events of all runs, because a promise is tested only if the events that could break it have happened. */
    private static final class Counts {

        private int servedOwn;
        private int servedOfAnotherToken;
        private int servedOfAnotherPod;
        private int forgeries;
        private int fallbacks;
        private int refusedTokens;
        private int refusedAccounts;
        private int wrongSubjects;
        private int deaths;
        private int turnedAway;
        private int jumps;

        void checkThatAllOfItHappened(CoalesceScope scope) {
            assertThat(List.of(servedOwn, forgeries, fallbacks, refusedTokens, refusedAccounts, wrongSubjects, deaths, turnedAway,
                            jumps))
                    .allSatisfy(count -> assertThat(count).isGreaterThan(RUNS));
            assertThat(servedOfAnotherToken > RUNS).isEqualTo(scope != CoalesceScope.TOKEN);
            assertThat(servedOfAnotherPod > RUNS).isEqualTo(scope == CoalesceScope.ROLE);
        }
    }

    /** A pod, as the API server knows it. */
    private record Owner(String issuer, String namespace, String account, String accountUid, String pod, String podUid) {

        boolean sameAccount(Owner other) {
            return issuer.equals(other.issuer)
                    && namespace.equals(other.namespace)
                    && account.equals(other.account)
                    && accountUid.equals(other.accountUid);
        }

        boolean samePod(Owner other) {
            return sameAccount(other) && podUid.equals(other.podUid);
        }

        WorkloadClaims claims() {
            return new WorkloadClaims(namespace, account, pod, podUid, "");
        }

        VerifiedClaims verified() {
            return new VerifiedClaims(issuer, namespace, account, accountUid, pod, podUid, Optional.of("node"));
        }
    }

    /** Runs one simulation: the pods of the node, its clients, and everything that the model knows. */
    private static final class Node {

        private final CoalesceScope scope;
        private final long seed;
        private final Counts counts;
        private final Random random;
        private final ServiceFixture fixture;
        /** The tokens of each living pod, newest last. */
        private final Map<Owner, List<ServiceAccountToken>> living = new HashMap<>();
        /** The pod that each genuine token was issued to. Forged tokens have no owner. */
        private final Map<String, Owner> owners = new HashMap<>();
        private final Set<String> revoked = new HashSet<>();
        private final Set<String> refused = new HashSet<>();
        private final Set<Integer> wrong = new HashSet<>();
        private final List<Client> waiting = new ArrayList<>();
        /** Pods that the watch has seen go, before the service is notified. */
        private final List<Owner> untold = new ArrayList<>();
        /** Failed checks. They are collected because the service might swallow an error that is thrown into it. */
        private final List<AssertionError> violations = new ArrayList<>();
        /** The number of steps for which the wall clock stays wrong. */
        private int wrongFor;
        private int accountGeneration;
        private int pods;
        private int tokens;

        Node(CoalesceScope scope, long seed, Counts counts) {
            this.scope = scope;
            this.seed = seed;
            this.counts = counts;
            random = new Random(seed);
            fixture = new ServiceFixture(new CredentialSettings(
                    Duration.ofHours(3),
                    CAPACITY,
                    seed % 2 == 0 ? 2 : 0,
                    FETCHES,
                    ServiceFixture.FLIGHT_TIMEOUT));
            fixture.eksAuth.script(call -> {
                checkCall(call);
                fixture.time.schedule(ATTEMPT_TIMEOUT, () -> call.answer(unavailable(call)));
                if (random.nextInt(3) == 0) {
                    end(call);
                }
            });
            fixture.renewer.start();
            for (int i = 0; i < PODS; i++) {
                create("web-" + i % 3);
            }
        }

        void live() {
            int step = 0;
            try {
                for (; step < STEPS; step++) {
                    step();
                    check();
                }
                tell();
                check();
                fixture.settle();
                assertThat(waiting).isEmpty();
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("scope " + scope + ", seed " + seed + ", step " + step, e);
            }
        }

        private void step() {
            fixture.random = random.nextDouble();
            if (wrongFor > 0) {
                wrongFor--;
                if (wrongFor == 0) {
                    fixture.time.setClockAhead(Duration.ZERO);
                }
            }
            switch (random.nextInt(21)) {
                case 0, 1, 2, 3, 4, 5 -> ask(anyPod(), random.nextInt(8) > 0);
                case 6 -> forge();
                case 7 -> rotate(anyPod());
                case 8 -> replace(random.nextBoolean() ? anyPod() : podThatWaits());
                case 9 -> revoke(anyPod());
                case 10 -> {
                    recreateAccounts();
                    tell();
                }
                case 11 -> withAny(waiting, Client::abandon);
                case 12, 13, 14, 15, 16 -> withAny(fixture.eksAuth.open(), this::end);
                case 17, 18 -> fixture.time.advanceMillis(1 + random.nextInt(3000));
                case 19 -> {
                    counts.jumps++;
                    wrongFor = 1 + random.nextInt(10);
                    fixture.time.setClockAhead(Duration.ofHours(random.nextBoolean() ? 2 : -2));
                }
                default -> advance(
                        random.nextInt(3) == 0
                                ? Duration.ofMinutes(1 + random.nextInt(200))
                                : Duration.ofSeconds(1 + random.nextInt(600)));
            }
        }

        /**
         * Advances the time by seconds at most while the clock is wrong, because otherwise the model could not tell which
         * credentials have expired.
         */
        private void advance(Duration time) {
            fixture.time.advance(fixture.time.error().isZero() ? time : Duration.ofMillis(random.nextInt(3000)));
        }


        // The cluster

        private void create(String name) {
            // The same account name occurs in two namespaces, two accounts in each namespace, and everything for two
            // issuers.
            Owner owner = new Owner(
                    random.nextInt(6) == 0 ? "https://issuer-2" : "https://issuer-1",
                    random.nextBoolean() ? "shop" : "pay",
                    random.nextInt(3) == 0 ? "till" : "cart",
                    "account-" + (random.nextInt(3) == 0 ? accountGeneration : 0),
                    name,
                    "pod-" + pods++);
            living.put(owner, new ArrayList<>());
            rotate(owner);
        }

        private void rotate(Owner owner) {
            List<ServiceAccountToken> held = living.get(owner);
            ServiceAccountToken token = TokenBuilder.of("token-" + tokens++ + "-of-" + owner.podUid())
                    .claiming(owner.claims())
                    .expiringAt(fixture.time.now().plus(Duration.ofHours(24)))
                    .build();
            owners.put(token.raw(), owner);
            held.add(token);
            if (held.size() > 2) {
                held.remove(0);
            }
        }

        /** Replaces a pod by one of the same name, as a StatefulSet does; the new pod may have another service account. */
        private void replace(Owner owner) {
            counts.deaths++;
            living.remove(owner);
            fixture.gone.add(owner.podUid());
            untold.add(owner);
            if (random.nextBoolean()) {
                tell();
            }
            create(owner.pod());
        }

        private void tell() {
            untold.forEach(owner -> fixture.service.podGone(owner.podUid()));
            untold.clear();
        }

        private void recreateAccounts() {
            accountGeneration++;
        }

        private void revoke(Owner owner) {
            if (random.nextInt(3) == 0) {
                living.get(owner).forEach(token -> revoked.add(token.raw()));
            }
        }

        private Owner anyPod() {
            List<Owner> all = new ArrayList<>(living.keySet());
            all.sort((one, other) -> one.podUid().compareTo(other.podUid()));
            return all.get(random.nextInt(all.size()));
        }

        private Owner podThatWaits() {
            List<Owner> all = waiting.stream()
                    .map(client -> owners.get(client.token))
                    .filter(living::containsKey)
                    .toList();
            return all.isEmpty() ? anyPod() : all.get(random.nextInt(all.size()));
        }

        // The agent's clients

        private void ask(Owner owner, boolean verifiable) {
            List<ServiceAccountToken> held = living.get(owner);
            held.removeIf(token -> !token.expiresAt().isAfter(fixture.time.now()));
            if (held.isEmpty()) {
                rotate(owner);
            }
            ServiceAccountToken token = held.get(random.nextInt(held.size()));
            Verification verification = verifiable ? owner.verified() : new NotVerified(NotVerified.Reason.NO_KEYS);
            counts.fallbacks += verifiable ? 0 : 1;
            request(token, verification, verifiable);
        }

        /** Sends a token with the claims of a living pod that only EKS Auth can tell from a genuine one. */
        private void forge() {
            counts.forgeries++;
            ServiceAccountToken token = TokenBuilder.of("forged-" + tokens++)
                    .claiming(anyPod().claims())
                    .expiringAt(fixture.time.now().plus(Duration.ofHours(100)))
                    .build();
            request(token, new NotVerified(NotVerified.Reason.UNKNOWN_KEY), false);
        }

        private void request(ServiceAccountToken token, Verification verification, boolean verified) {
            Client client = new Client(token.raw(), verified);
            waiting.add(client);
            Caller caller = Caller.of(token, verification, scope);
            client.answer.waitsFor(fixture.service.request(caller, "10.0.0." + random.nextInt(3), ServiceFixture.DEADLINE, Duration.ZERO, client));
        }

        // EKS Auth, which knows the genuine tokens

        private void end(FakeEksAuth.Call call) {
            String raw = call.token().raw();
            Instant now = fixture.time.now();
            int how = random.nextInt(20);
            if (call.ended()) {
                return;
            }
            if (how < 3) {
                call.answer(unavailable(call));
            } else if (!owners.containsKey(raw) || revoked.contains(raw) || !call.token().expiresAt().isAfter(now) || how == 3) {
                counts.refusedTokens++;
                refused.add(raw);
                call.answer(new PermanentFailure(PermanentFailure.Reason.INVALID_TOKEN, "call " + call.number()));
            } else if (how == 4) {
                counts.refusedAccounts++;
                call.answer(new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED, "call " + call.number()));
            } else if (how < 7) {
                counts.wrongSubjects++;
                wrong.add(call.number());
                Owner owner = owners.get(raw);
                String namespace = how == 5 ? "elsewhere" : owner.namespace();
                call.succeedFor(namespace, how == 5 ? owner.account() : "other", now.plus(Duration.ofHours(6)));
            } else {
                boolean shortLived = how < 10 && fixture.time.error().isZero();
                call.succeed(now.plusSeconds(shortLived ? 1 + random.nextInt(1200) : 3600L * (1 + random.nextInt(12))));
            }
        }

        private static EksAuthFailure unavailable(FakeEksAuth.Call call) {
            return new TransientFailure(TransientFailure.Reason.UNAVAILABLE, "call " + call.number());
        }

        // Invariants

        /** Checks that no call is made for a dead pod. */
        private void checkCall(FakeEksAuth.Call call) {
            Owner owner = owners.get(call.token().raw());
            if (owner != null) {
                collect(() -> assertThat(living).as("living pods").containsKey(owner));
            }
        }

        private void check() {
            assertThat(violations).isEmpty();
            assertThat(fixture.service.entries()).hasSizeLessThanOrEqualTo(CAPACITY).allSatisfy(this::checkEntry);
        }

        /** Checks that an entry holds only genuine tokens of living pods that may share it. */
        private void checkEntry(CacheEntry entry) {
            List<Owner> sharing = entry.pods().all().stream()
                    .map(caller -> owners.get(caller.token().raw()))
                    .toList();
            assertThat(sharing).isNotEmpty().doesNotContainNull();
            assertThat(sharing).allMatch(owner -> living.containsKey(owner) || untold.contains(owner));
            Owner first = sharing.get(0);
            assertThat(sharing).allMatch(other -> switch (scope) {
                case TOKEN, POD -> sharing.size() == 1;
                case ROLE -> first.sameAccount(other);
            });
        }

        private boolean mayHave(Client client, String fetchedWith) {
            if (client.token.equals(fetchedWith)) {
                return true;
            }
            Owner asking = owners.get(client.token);
            Owner fetchedFor = owners.get(fetchedWith);
            if (!client.verified || fetchedFor == null) {
                return false;
            }
            return switch (scope) {
                case TOKEN -> false;
                case POD -> asking.samePod(fetchedFor);
                case ROLE -> asking.sameAccount(fetchedFor);
            };
        }

        private void collect(Runnable check) {
            try {
                check.run();
            } catch (AssertionError violation) {
                violations.add(violation);
            }
        }

        private <T> void withAny(List<T> list, Consumer<T> action) {
            if (!list.isEmpty()) {
                action.accept(list.get(random.nextInt(list.size())));
            }
        }

        /** A client that checks every answer it gets. */
        private final class Client implements Consumer<Outcome> {

            private final String token;
            private final boolean verified;
            private final RecordingAnswer answer = new RecordingAnswer(fixture.time);

            Client(String token, boolean verified) {
                this.token = token;
                this.verified = verified;
            }

            void abandon() {
                waiting.remove(this);
                answer.abandon();
            }

            @Override
            public void accept(Outcome outcome) {
                waiting.remove(this);
                collect(() -> {
                    answer.accept(outcome);
                    assertThat(answer.took()).isLessThanOrEqualTo(ServiceFixture.DEADLINE);
                    if (outcome instanceof Outcome.Served) {
                        checkServed(answer.issuedFor(), answer.issuedByCall());
                    } else if (outcome instanceof Outcome.Rejected) {
                        counts.turnedAway++;
                        assertThat(living).as("living pods").doesNotContainKey(owners.get(token));
                    } else {
                        checkFailed(answer.failure());
                    }
                });
            }

            private void checkServed(String fetchedWith, int call) {
                assertThat(answer.credentials().expiration()).as("expiration").isAfter(fixture.time.now());
                assertThat(owners).as("genuine tokens").containsKey(token);
                assertThat(refused).as("refused tokens").doesNotContain(token);
                assertThat(living).as("living pods").containsKey(owners.get(token));
                assertThat(wrong).as("answers for another").doesNotContain(call);
                assertThat(mayHave(this, fetchedWith))
                        .as("%s, verified: %s, is served what was fetched with %s", token, verified, fetchedWith)
                        .isTrue();
                boolean own = token.equals(fetchedWith);
                counts.servedOwn += own ? 1 : 0;
                counts.servedOfAnotherToken += own ? 0 : 1;
                counts.servedOfAnotherPod += owners.get(token).samePod(owners.get(fetchedWith)) ? 0 : 1;
            }

            /**
             * Checks that a client is told neither of a failure of another identity nor of a fault in another pod's token.
             */
            private void checkFailed(EksAuthFailure failure) {
                Matcher call = CALL.matcher(failure.message());
                if (call.matches()) {
                    String fetchedWith = fixture.eksAuth.calls().get(Integer.parseInt(call.group(1))).token().raw();
                    assertThat(mayHave(this, fetchedWith)).as("%s is told of %s", token, fetchedWith).isTrue();
                }
                if (failure instanceof PermanentFailure permanent && permanent.ofToken()) {
                    assertThat(refused).as("refused tokens").contains(token);
                }
            }
        }
    }
}

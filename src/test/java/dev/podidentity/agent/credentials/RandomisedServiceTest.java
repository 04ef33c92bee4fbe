package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.ServiceAccountToken;
import dev.podidentity.agent.token.ServiceAccountToken.WorkloadClaims;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Checks the promises of the service after every step of a random run: clients come and go, tokens are replaced after EKS
 * Auth has refused them, EKS Auth answers, fails and hangs, and time advances by milliseconds to hours. The seed makes a run
 * repeatable.
 */
@ExtendWith(QuietLog.class)
class RandomisedServiceTest {

    private static final int RUNS = 200;
    private static final int STEPS = 300;
    private static final int TOKENS = 12;
    private static final int CAPACITY = 8;
    private static final int FETCHES = 3;
    /** The most that one attempt may take. {@code EksAuth} promises to end each call within a timeout. */
    private static final Duration ATTEMPT_TIMEOUT = Duration.ofSeconds(5);

    static LongStream seeds() {
        return LongStream.range(0, RUNS);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void keepsItsPromisesWhateverHappens(long seed) {
        // Given
        Run run = new Run(seed);
        // When
        for (int step = 0; step < STEPS; step++) {
            run.step();
            // Then
            run.check();
        }
        run.finish();
    }

    /** Runs one simulation, and records what the service was told and how it answered. */
    private static final class Run {

        private final Random random;
        private final boolean renewing;
        private final int capacity;
        private final ServiceFixture fixture;
        private final List<ServiceAccountToken> tokens;
        private final List<Client> waiting = new ArrayList<>();
        private final Map<String, Integer> lastIssued = new HashMap<>();
        /** When a client with the token last got a permanent failure. */
        private final Map<String, Instant> refused = new HashMap<>();
        private final Map<Integer, Instant> issuedAt = new HashMap<>();
        /** Failed checks. They are collected because the service might swallow an error that is thrown into it. */
        private final List<AssertionError> violations = new ArrayList<>();
        /** Tokens that EKS Auth has refused. They must never be served again, nor be used in a call. */
        private final Set<String> refusedTokens = new HashSet<>();
        private int tokensMade;
        private int served;

        Run(long seed) {
            random = new Random(seed);
            renewing = seed % 2 == 0;
            capacity = seed % 10 == 9 ? 0 : CAPACITY;
            fixture = new ServiceFixture(new CredentialSettings(
                    Duration.ofHours(3),
                    capacity,
                    renewing ? 2 : 0,
                    FETCHES,
                    ServiceFixture.FLIGHT_TIMEOUT));
            // Each three tokens belong to one workload and have the same claims.
            tokens = new ArrayList<>(IntStream.range(0, TOKENS).mapToObj(this::token).toList());
            fixture.eksAuth.script(call -> {
                if (refusedTokens.contains(call.token().raw())) {
                    violations.add(new AssertionError("A call with a refused token"));
                }
                fixture.time.schedule(ATTEMPT_TIMEOUT, () -> end(call, 9));
                if (random.nextInt(4) == 0) {
                    end(call, random.nextInt(10));
                }
            });
            fixture.renewer.start();
        }

        private ServiceAccountToken token(int place) {
            return TokenBuilder.of("token-" + tokensMade++)
                    .claiming(new WorkloadClaims("namespace", "account-" + place / 3, "pod", "pod-uid", ""))
                    .expiringAt(FakeTime.START.plus(Duration.ofHours(10_000)))
                    .build();
        }

        void step() {
            fixture.random = random.nextDouble();
            switch (random.nextInt(10)) {
                case 0, 1, 2, 3 -> ask(random.nextInt(TOKENS));
                case 4 -> withAny(waiting, Client::abandon);
                case 5, 6, 7 -> withAny(fixture.eksAuth.open(), call -> end(call, random.nextInt(10)));
                case 8 -> fixture.time.advanceMillis(1 + random.nextInt(3000));
                default -> fixture.time.advance(longStep());
            }
        }

        private Duration longStep() {
            return switch (random.nextInt(4)) {
                case 0 -> Duration.ofMinutes(1 + random.nextInt(200));
                case 1 -> Duration.ofSeconds(1 + random.nextInt(600));
                default -> Duration.ofMillis(1 + random.nextInt(20_000));
            };
        }

        private void ask(int place) {
            // Sometimes a client shows a refused token again.
            if (refusedTokens.contains(tokens.get(place).raw()) && random.nextBoolean()) {
                tokens.set(place, token(place));
            }
            ServiceAccountToken token = tokens.get(place);
            Client client = new Client(token);
            waiting.add(client);
            client.answer.waitsFor(fixture.service.request(
                    TokenBuilder.unverified(token), "10.0.0." + random.nextInt(3), ServiceFixture.DEADLINE, Duration.ZERO, client));
        }

        private void end(FakeEksAuth.Call call, int how) {
            if (call.ended()) {
                return;
            }
            if (how < 6) {
                // The lifetime is seconds, minutes or hours: every duration that a role session may have, and shorter ones.
                long seconds = switch (how) {
                    case 0 -> 1 + random.nextInt(20);
                    case 1 -> 60 + random.nextInt(900);
                    default -> 3600L * (1 + random.nextInt(12));
                };
                lastIssued.put(call.token().raw(), call.number());
                issuedAt.put(call.number(), fixture.time.now());
                call.succeed(fixture.time.now().plusSeconds(seconds));
            } else if (how == 6) {
                call.answer(FakeEksAuth.DENIED);
            } else if (how == 7) {
                call.answer(FakeEksAuth.THROTTLED);
            } else if (how == 8 && random.nextInt(4) == 0) {
                refusedTokens.add(call.token().raw());
                call.answer(FakeEksAuth.BAD_TOKEN);
            } else {
                call.answer(FakeEksAuth.UNAVAILABLE);
            }
        }

        void check() {
            assertThat(violations).isEmpty();
            assertThat(fixture.entries()).as("entries").isLessThanOrEqualTo(capacity);
            assertThat(fixture.service.entries()).hasSize(fixture.entries());
            assertThat(fixture.inFlight()).isEqualTo(fixture.eksAuth.openCount());
            assertThat(fixture.waiting()).isEqualTo(waiting.size());
            if (!renewing) {
                assertThat(fixture.eksAuth.mostOpen()).as("calls in flight").isLessThanOrEqualTo(FETCHES);
            }
            // A call may outlive its flight and overlap with the next flight's call, but no more than two calls overlap,
            // because an attempt is shorter than a flight.
            Map<String, Integer> openCalls = new HashMap<>();
            fixture.eksAuth.open().forEach(call -> openCalls.merge(call.token().raw(), 1, Integer::sum));
            assertThat(openCalls.values()).allMatch(open -> open <= 2);
        }

        void finish() {
            fixture.settle();
            check();
            assertThat(waiting).isEmpty();
            assertThat(served).as("requests that got credentials").isPositive();
            assertThat(fixture.service.entries())
                    .allSatisfy(entry -> assertThat(entry.pods().all())
                            .noneMatch(pod -> refusedTokens.contains(pod.token().raw())));
        }

        private <T> void withAny(List<T> list, Consumer<T> action) {
            if (!list.isEmpty()) {
                action.accept(list.get(random.nextInt(list.size())));
            }
        }

        /** A client that checks every answer it gets. */
        private final class Client implements Consumer<Outcome> {

            private final ServiceAccountToken token;
            private final boolean refusedBefore;
            private final RecordingAnswer answer = new RecordingAnswer(fixture.time);

            Client(ServiceAccountToken token) {
                this.token = token;
                this.refusedBefore = refusedTokens.contains(token.raw());
            }

            void abandon() {
                waiting.remove(this);
                answer.abandon();
            }

            @Override
            public void accept(Outcome outcome) {
                waiting.remove(this);
                try {
                    check(outcome);
                } catch (AssertionError violation) {
                    violations.add(violation);
                }
            }

            private void check(Outcome outcome) {
                assertThat(answer.abandoned()).as("abandoned").isFalse();
                answer.accept(outcome);
                assertThat(answer.answers()).isEqualTo(1);
                assertThat(answer.took()).isLessThanOrEqualTo(ServiceFixture.DEADLINE);
                if (refusedBefore) {
                    assertThat(answer.failure()).isSameAs(FakeEksAuth.BAD_TOKEN);
                }
                if (outcome instanceof Outcome.Served) {
                    served++;
                    assertThat(refusedTokens).doesNotContain(token.raw());
                    checkCredentials();
                } else if (answer.failure() instanceof PermanentFailure) {
                    refused.put(token.raw(), fixture.time.now());
                }
            }

            private void checkCredentials() {
                String raw = token.raw();
                assertThat(answer.issuedFor()).isEqualTo(raw);
                assertThat(issuedAt.get(answer.issuedByCall()))
                        .as("not older than a refusal")
                        .isAfterOrEqualTo(refused.getOrDefault(raw, Instant.MIN));
                if (answer.cache() == CacheOutcome.HIT) {
                    assertThat(answer.issuedByCall()).as("the latest that were issued").isEqualTo(lastIssued.get(raw));
                }
            }
        }
    }
}

package dev.podidentity.agent.credentials;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.observe.CacheOutcome;
import dev.podidentity.agent.observe.RenewalResult;
import dev.podidentity.agent.testing.FakeTime;
import dev.podidentity.agent.token.ServiceAccountToken;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Counts the calls to EKS Auth in one day, for a node of 100 pods of 5 service accounts that all start within a second. The
 * README shows the table. The service and its renewer are real; kubelet, the SDKs and EKS Auth are simulated.
 */
@ExtendWith(QuietLog.class)
class SimulatedDayTest {

    private static final int PODS = 100;
    private static final int ACCOUNTS = 5;
    private static final long SEED = 42;
    private static final Duration DAY = Duration.ofHours(24);
    private static final Duration SECOND = Duration.ofSeconds(1);
    /** The default session duration of EKS Auth. */
    private static final Duration LIFETIME = Duration.ofHours(6);
    private static final Duration RETENTION = Duration.ofHours(3);
    private static final Duration LATENCY = Duration.ofMillis(50);
    /** The most renewals of an entry in a day: the jitter of a renewal is 10 % either way. */
    private static final int MOST_RENEWALS = (int) (DAY.toMinutes() / (RETENTION.toMinutes() * 0.9));
    /**
     * The fewest renewals of an entry in a day. An entry is renewed after at most 3.3 h if it has been requested since its
     * last renewal, and a pod requests it again 15 or 5 minutes before its copy expires, so within 6 h.
     */
    private static final int LEAST_RENEWALS = (int) (DAY.toMinutes() / LIFETIME.toMinutes());

    private static Calls reference;
    private static Calls token;
    private static Calls pod;
    private static Calls role;

    @BeforeAll
    static void liveTheDay() {
        reference = new Reference().live();
        token = new Agent(CoalesceScope.TOKEN).live();
        pod = new Agent(CoalesceScope.POD).live();
        role = new Agent(CoalesceScope.ROLE).live();
    }

    @Test
    void countsTheCallsOfADay() {
        // Given
        String table = """
                | | at the start | new tokens | renewals | in all |
                | --- | ---: | ---: | ---: | ---: |
                """
                + reference.row("the reference")
                + token.row("`token`")
                + pod.row("`pod`")
                + role.row("`role`");
        // When
        System.out.println(table);
        // Then
        assertThat(table).isEqualTo("""
                | | at the start | new tokens | renewals | in all |
                | --- | ---: | ---: | ---: | ---: |
                | the reference | 100 | 100 | 800 | 1,000 |
                | `token` | 100 | 100 | 648 | 848 |
                | `pod` | 100 | 0 | 727 | 827 |
                | `role` | 5 | 0 | 37 | 42 |
                """);
    }

    @Test
    void callsOnceForEachSharerAtTheStart() {
        assertThat(List.of(reference.atStart, token.atStart, pod.atStart)).containsOnly(PODS);
        assertThat(role.atStart).isEqualTo(ACCOUNTS);
    }

    @Test
    void callsForARotatedTokenOnlyInTheScopeOfAToken() {
        assertThat(List.of(reference.forNewTokens, token.forNewTokens)).containsOnly(PODS);
        assertThat(List.of(pod.forNewTokens, role.forNewTokens)).containsOnly(0);
    }

    @Test
    void renewsOnceForEachSharer() {
        // The reference renews a pod's first token at 3 to 21 h, and its second, which it sees before 21 h, once.
        assertThat(reference.renewals).isEqualTo(PODS * (7 + 1));
        assertThat(pod.renewals).isBetween(PODS * LEAST_RENEWALS, PODS * MOST_RENEWALS);
        assertThat(role.renewals).isBetween(ACCOUNTS * LEAST_RENEWALS, ACCOUNTS * MOST_RENEWALS);
    }

    @Test
    void callsLessTheMoreIsShared() {
        assertThat(role.total() * PODS / ACCOUNTS).isBetween(pod.total() * 9 / 10, pod.total() * 11 / 10);
        assertThat(pod.total()).isLessThan(token.total());
        assertThat(token.total()).isLessThan(reference.total());
    }

    /** The number of calls in a day, by reason. */
    private record Calls(int atStart, int forNewTokens, int renewals) {

        int total() {
            return atStart + forNewTokens + renewals;
        }

        String row(String name) {
            return String.format(Locale.ROOT, "| %s | %d | %d | %d | %,d |\n", name, atStart, forNewTokens, renewals, total());
        }
    }

    /** Simulates a day of the node: pods start, tokens rotate, and SDKs request credentials. */
    private abstract static class Day {

        /** How many minutes before expiry SDKs renew their copy: Java and botocore at 15, JavaScript and Go at 5. */
        private static final int[] SDK_MINUTES = {15, 15, 5, 5};
        /** Kubelet replaces a token at 80 % of its lifetime, minus a jitter of up to 10 s. */
        private static final Duration ROTATION = DAY.multipliedBy(8).dividedBy(10);
        private static final int ROTATION_JITTER_MILLIS = 10_000;
        /** Kubelet syncs a pod every 60 to 90 s, so it notices up to 90 s late that a token is due. */
        private static final int SYNC_MILLIS = 90_000;

        final FakeTime time;
        final Random random = new Random(SEED);
        private final Instant end;
        private int unanswered;

        Day(FakeTime time) {
            this.time = time;
            this.end = time.now().plus(DAY);
        }

        /** Requests credentials as the SDK of a pod does. The answer is when they expire. */
        abstract void ask(Pod of, ServiceAccountToken with, Consumer<Instant> answer);

        abstract Calls counted();

        final Calls live() {
            for (int i = 0; i < PODS; i++) {
                String account = "account-" + i % ACCOUNTS;
                Pod started = new Pod("jobs", account, account + "-uid", "pod-" + i, "pod-" + i + "-uid");
                Duration lead = Duration.ofMinutes(SDK_MINUTES[i / ACCOUNTS % SDK_MINUTES.length]);
                time.schedule(millis(1000), () -> new Client(started, lead).start());
            }
            time.advance(Duration.between(time.now(), end).minusMillis(1));
            assertThat(unanswered).isZero();
            return counted();
        }

        private Duration millis(int bound) {
            return Duration.ofMillis(random.nextInt(bound));
        }

        private final class Client {

            private final Pod pod;
            private final Duration lead;
            private ServiceAccountToken token;
            private int tokens;

            Client(Pod pod, Duration lead) {
                this.pod = pod;
                this.lead = lead;
            }

            void start() {
                rotate();
                ask();
            }

            private void rotate() {
                token = pod.token(++tokens, time.now().plus(DAY));
                time.schedule(ROTATION.minus(millis(ROTATION_JITTER_MILLIS)).plus(millis(SYNC_MILLIS)), this::rotate);
            }

            private void ask() {
                unanswered++;
                Day.this.ask(pod, token, expiration -> {
                    unanswered--;
                    assertThat(expiration).isAfter(time.now().plus(Duration.ofMinutes(15)));
                    time.schedule(Duration.between(time.now(), expiration).minus(lead), this::ask);
                });
            }
        }
    }

    /** This agent, with token verification. */
    private static final class Agent extends Day {

        private final CoalesceScope scope;
        private final ServiceFixture fixture;
        private int failed;

        Agent(CoalesceScope scope) {
            this(scope, new ServiceFixture());
        }

        private Agent(CoalesceScope scope, ServiceFixture fixture) {
            super(fixture.time);
            this.scope = scope;
            this.fixture = fixture;
            fixture.eksAuth.script(call -> time.schedule(LATENCY, () -> {
                fixture.random = random.nextDouble();
                call.succeed(time.now().plus(LIFETIME));
            }));
            fixture.renewer.start();
        }

        @Override
        void ask(Pod of, ServiceAccountToken with, Consumer<Instant> answer) {
            Caller caller = Caller.of(with, of.claims(), scope);
            fixture.service.request(caller, of.name(), ServiceFixture.DEADLINE, Duration.ZERO, outcome -> {
                if (outcome instanceof Outcome.Served served && served.cache() != CacheOutcome.STALE) {
                    answer.accept(served.credentials().expiration());
                } else {
                    failed++;
                }
            });
        }

        @Override
        Calls counted() {
            assertThat(failed).isZero();
            assertThat(fixture.inFlight()).isZero();
            int atStart = (int) fixture.eksAuth.times().stream().filter(at -> at.compareTo(SECOND) < 0).count();
            int renewals = fixture.renewals(RenewalResult.SUCCESS);
            return new Calls(atStart, fixture.calls() - atStart - renewals, renewals);
        }
    }

    /**
     * The reference as the contract describes it: it calls EKS Auth for each token that it sees for the first time. Until a
     * token expires, it calls again each time the token's credentials reach the retention, whether or not they are
     * requested.
     */
    private static final class Reference extends Day {

        private final List<Duration> firstCalls = new ArrayList<>();
        private final Set<String> seen = new HashSet<>();
        private final Map<String, Instant> expirations = new HashMap<>();
        private int renewals;

        Reference() {
            super(new FakeTime());
        }

        @Override
        void ask(Pod of, ServiceAccountToken with, Consumer<Instant> answer) {
            if (seen.add(with.raw())) {
                firstCalls.add(time.elapsed());
                fetch(with);
            }
            answer.accept(expirations.get(with.raw()));
        }

        private void fetch(ServiceAccountToken with) {
            expirations.put(with.raw(), time.now().plus(LIFETIME));
            time.schedule(RETENTION, () -> {
                if (with.expiresAt().isAfter(time.now())) {
                    renewals++;
                    fetch(with);
                }
            });
        }

        @Override
        Calls counted() {
            int atStart = (int) firstCalls.stream().filter(at -> at.compareTo(SECOND) < 0).count();
            return new Calls(atStart, firstCalls.size() - atStart, renewals);
        }
    }
}

package dev.podidentity.agent.credentials;

import static dev.podidentity.agent.credentials.TokenBuilder.token;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.eksauth.EksAuthAnswer;
import dev.podidentity.agent.testing.FakeTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Checks the limits on calls to EKS Auth while sources flood the agent with forged tokens and share flights, pods die, and
 * EKS Auth answers at random. The limits must hold after every step, and at the end every permit, slot and byte must have
 * been released. The seed makes a run repeatable.
 */
@ExtendWith(QuietLog.class)
class RandomisedAdmissionTest {

    private static final int RUNS = 60;
    private static final int STEPS = 250;
    private static final int SOURCES = 3;
    private static final int FETCHES = 60;
    private static final int PODS = 12;
    private static final Duration SIX_HOURS = Duration.ofHours(6);
    /** By this age, all six-hour credentials are due for renewal, whatever their jitter. */
    private static final Duration DUE = Duration.ofMinutes(200);

    static LongStream seeds() {
        return LongStream.range(0, RUNS);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void keepsTheLimitsAndGivesEverythingBack(long seed) {
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

    private static final class Run {

        private final Random random;
        /** Whether EKS Auth throttles in this run. If it does not, only its permits slow a source down. */
        private final boolean throttling;
        private final ServiceFixture fixture = new ServiceFixture(new CredentialSettings(
                Duration.ofHours(3), 2000, 3, FETCHES, ServiceFixture.FLIGHT_TIMEOUT));
        private final List<RecordingAnswer> clients = new ArrayList<>();
        /** The source of each token that only one source has shown. */
        private final Map<String, Integer> shownBy = new HashMap<>();
        private final Set<String> succeeded = new HashSet<>();
        private final List<Instant> throttledAt = new ArrayList<>();
        private int made;
        private int generation;

        Run(long seed) {
            random = new Random(seed);
            throttling = seed % 2 == 0;
        }

        void step() {
            fixture.random = random.nextDouble();
            switch (random.nextInt(12)) {
                case 0, 1 -> flood(random.nextInt(SOURCES), 1 + random.nextInt(150));
                case 2, 3 -> share();
                case 4 -> clients.get(clients.isEmpty() ? flood(0, 1) : random.nextInt(clients.size())).abandon();
                case 5 -> {
                    fixture.die(pod(random.nextInt(PODS)).uid());
                    generation++;
                }
                case 6 -> fixture.time.advanceMillis(1 + random.nextInt(random.nextInt(10) == 0 ? 20_000 : 1000));
                case 7, 8 -> fixture.time.advanceMillis(1 + random.nextInt(300));
                default -> endSome();
            }
        }

        /** Floods the agent from one source, and returns the index of the last client. */
        private int flood(int source, int times) {
            for (int i = 0; i < times; i++) {
                String raw = "made-up-" + made++;
                shownBy.put(raw, source);
                clients.add(fixture.ask(token(raw), address(source)));
            }
            return clients.size() - 1;
        }

        private void share() {
            for (int i = 0; i < 1 + random.nextInt(4); i++) {
                Caller caller = pod(random.nextInt(PODS)).verified(
                        CoalesceScope.ROLE, 1 + random.nextInt(3), FakeTime.START.plus(Duration.ofHours(10_000)));
                clients.add(fixture.ask(caller, address(random.nextInt(SOURCES))));
            }
        }

        private Pod pod(int number) {
            String account = "account-" + number % 3;
            String name = "pod-" + number + "-" + generation;
            return new Pod("shop", account, account + "-uid", name, name + "-uid");
        }

        private void endSome() {
            int how = random.nextInt(10);
            for (FakeEksAuth.Call call : fixture.eksAuth.open()) {
                if (random.nextInt(3) > 0) {
                    end(call, random.nextInt(4) == 0 ? random.nextInt(10) : how);
                }
            }
        }

        private void end(FakeEksAuth.Call call, int how) {
            if (how < 4) {
                succeeded.add(call.token().raw());
                call.succeed(fixture.time.now().plus(SIX_HOURS));
                return;
            }
            EksAuthAnswer answer = switch (how) {
                case 4 -> throttling ? FakeEksAuth.THROTTLED : FakeEksAuth.DENIED;
                case 5 -> FakeEksAuth.DENIED;
                case 6, 7 -> FakeEksAuth.UNAVAILABLE;
                default -> FakeEksAuth.BAD_TOKEN;
            };
            if (answer == FakeEksAuth.THROTTLED) {
                throttledAt.add(fixture.time.now());
            }
            call.answer(answer);
        }

        void check() {
            assertThat(fixture.eksAuth.mostOpen()).as("calls under way").isLessThanOrEqualTo(FETCHES);
            Map<Integer, Set<String>> unsuccessful = new HashMap<>();
            fixture.eksAuth.calls().stream()
                    .map(call -> call.token().raw())
                    .filter(raw -> shownBy.containsKey(raw) && !succeeded.contains(raw))
                    .forEach(raw -> unsuccessful.computeIfAbsent(shownBy.get(raw), key -> new HashSet<>()).add(raw));
            double most = FetchQueue.FAILURES_AT_ONCE
                    + FetchQueue.FAILURES_PER_SECOND * fixture.time.elapsed().toMillis() / 1000.0;
            assertThat(unsuccessful.values()).allSatisfy(tokens ->
                    assertThat(tokens.size()).as("tokens of a source that cost a call for nothing").isLessThanOrEqualTo((int) most));
            throttledAt.forEach(this::checkPaceAfter);
            throttledAt.removeIf(at -> at.isBefore(fixture.time.now().minusSeconds(1)));
        }

        /**
         * Checks that throttling slows the calls down. The rate is halved at most once per second and grows by five per
         * second, so the last cut is at most one second old.
         */
        private void checkPaceAfter(Instant at) {
            long before = callsBetween(at.minusSeconds(3), at);
            long after = callsBetween(at.plusNanos(1), at.plusSeconds(1));
            assertThat((double) after).as("calls in the second after a throttled one")
                    .isLessThanOrEqualTo(Math.max(2, before / 2.0) + 11);
        }

        private long callsBetween(Instant from, Instant until) {
            return fixture.eksAuth.calls().stream()
                    .filter(call -> !call.at().isBefore(from) && !call.at().isAfter(until))
                    .count();
        }

        void finish() {
            fixture.settle();
            assertThat(fixture.registry.get("pod_identity_upstream_queued").gauge().value()).as("queued").isZero();
            checkPermits();
            checkRoom();
            checkSlots();
            fixture.settle();
            checkSuccesses();
            checkThrottled();
            fixture.settle();
        }

        private void checkPermits() {
            fixture.eksAuth.answerAtOnce(FakeEksAuth.DENIED);
            for (int source = 0; source < SOURCES; source++) {
                int before = fixture.calls();
                flood(source, FetchQueue.FAILURES_AT_ONCE + 50);
                assertThat(fixture.calls() - before).as("permits").isEqualTo(FetchQueue.FAILURES_AT_ONCE);
                assertThat(fixture.waiting()).as("requests that wait for a permit that nobody holds").isZero();
            }
            fixture.time.advance(Duration.ofMinutes(1));
        }

        /** Checks that a source whose calls all succeed is not limited to the number of calls that may fail. */
        private void checkSuccesses() {
            fixture.eksAuth.issueAtOnce(SIX_HOURS);
            int before = fixture.calls();
            flood(0, 3 * FetchQueue.FAILURES_AT_ONCE);
            assertThat(fixture.calls() - before).as("calls").isEqualTo(3 * FetchQueue.FAILURES_AT_ONCE);
        }

        /**
         * Checks that while every call is throttled, the node, renewals included, makes about as many calls per second as
         * its rate grows by.
         */
        private void checkThrottled() {
            fixture.eksAuth.answerAtOnce(FakeEksAuth.THROTTLED);
            fixture.time.advance(DUE);
            fixture.renewer.start();
            askForSeconds(10);
            int before = fixture.calls();
            askForSeconds(10);
            assertThat(fixture.calls() - before)
                    .as("calls in ten seconds")
                    .isBetween(5 * CallPace.GROWTH, 12 * CallPace.GROWTH);
        }

        private void askForSeconds(int seconds) {
            for (int quarter = 0; quarter < 4 * seconds; quarter++) {
                flood(random.nextInt(SOURCES), 3);
                fixture.time.advanceMillis(250);
            }
        }

        private void checkSlots() {
            // The failures before this one were an outage, which a permanent failure ends.
            fixture.eksAuth.answerAtOnce(FakeEksAuth.DENIED);
            flood(0, 1);
            fixture.eksAuth.hang();
            for (int source = 0; source < SOURCES; source++) {
                flood(source, FETCHES);
            }
            assertThat(fixture.eksAuth.openCount()).as("slots").isEqualTo(FETCHES);
        }

        /** Checks that no source holds any bytes: each can fill its budget completely. */
        private void checkRoom() {
            String large = "x".repeat((int) FetchQueue.MOST_BYTES_PER_SOURCE / 8 - FetchQueue.OVERHEAD - 4);
            // The sources take turns, because the total budget may be smaller than the sum of theirs.
            for (int source = 0; source < SOURCES; source++) {
                int before = withoutRoom();
                fixture.eksAuth.hang();
                for (int i = 0; i < 8; i++) {
                    fixture.ask(token("%02d".formatted(i) + source + large), address(source));
                }
                assertThat(withoutRoom() - before).as("flights without room").isZero();
                fixture.settle();
            }
        }

        private int withoutRoom() {
            return fixture.count("pod_identity_limit_rejections", "limit", "fetches");
        }

        private static String address(int source) {
            return "10.0.0." + source;
        }
    }
}

package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.Gate;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Many concurrent pods: the number of calls to EKS Auth, and what the pods receive. */
class CoalescingIT {

    private static final int CLIENTS = 200;

    private static EksAuthEmulator emulator;
    private static AgentProcess agent;

    @BeforeAll
    static void start() throws IOException {
        emulator = Emulators.start();
        agent = AgentProcess.start(emulator, "--max-concurrent-fetches", "100");
        RawHttp.askAsSdk(agent.port(), Emulators.token(emulator, "first"));
    }

    @AfterAll
    static void stop() {
        agent.close();
        emulator.close();
    }

    @AfterEach
    void heal() {
        emulator.heal();
        emulator.resetCounts();
    }

    @Test
    void twoHundredClientsOfOneTokenCostOneCall() throws IOException {
        // Given
        emulator.resetCounts();
        emulator.inject(new Fault.Latency(Duration.ofMillis(300)));
        String token = Emulators.token(emulator, "pod-shared");

        // When
        List<RawHttp.Answer> answers = ask(i -> token);

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        assertThat(answers).extracting(RawHttp.Answer::body).containsOnly(answers.get(0).body());
        assertThat(emulator.calls()).isOne();
    }

    @Test
    void aRefusalIsOneCallAndOneAnswerForAll() throws IOException {
        // Given
        emulator.resetCounts();
        emulator.inject(Fault.after(Duration.ofMillis(300), new Fault.ErrorAnswer(EksAuthError.ACCESS_DENIED)));
        String token = Emulators.token(emulator, "pod-denied");

        // When
        List<RawHttp.Answer> answers = ask(i -> token);

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(403));
        assertThat(answers).extracting(RawHttp.Answer::body).containsOnly(answers.get(0).body());
        assertThat(emulator.calls()).isOne();
    }

    @Test
    void aSlowEksAuthServesEachClientWithinItsFirstRetry() throws IOException {
        // Given
        emulator.resetCounts();
        emulator.inject(new Fault.Latency(Duration.ofMillis(1200)));
        String token = Emulators.token(emulator, "pod-slow");

        // When
        List<RawHttp> clients = connect();
        List<RawHttp.Answer> first = ask(clients, i -> token);
        List<RawHttp.Answer> retry = ask(clients, i -> token);

        // Then
        assertThat(first).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(503));
        assertThat(retry).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        assertThat(emulator.calls()).isOne();
    }

    @Test
    void twoHundredTokensCostTwoHundredCallsBoundedInFlight() throws IOException {
        // Given
        emulator.resetCounts();
        emulator.inject(new Fault.Latency(Duration.ofMillis(100)));
        List<String> tokens = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            tokens.add(Emulators.token(emulator, "pod-" + i));
        }

        // When
        List<RawHttp> clients = connect();
        List<RawHttp.Answer> answers = ask(clients, tokens::get);
        for (int i = 0; i < CLIENTS; i++) {
            // Retries like an SDK, because a slow machine may exceed one deadline.
            for (int attempt = 0; attempt < 5 && answers.get(i).status() == 503; attempt++) {
                answers.set(i, clients.get(i).send(request(tokens.get(i))).answer());
            }
        }

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        Set<String> bodies = new HashSet<>();
        answers.forEach(answer -> bodies.add(answer.body()));
        assertThat(bodies).as("each has its own").hasSize(CLIENTS);
        assertThat(emulator.calls()).isEqualTo(CLIENTS);
        assertThat(emulator.maxInFlight()).isBetween(2, 100);
    }

    @Test
    void aClientThatGoesAwayCancelsNothing() throws IOException {
        // Given
        emulator.resetCounts();
        Gate gate = emulator.hold();
        String token = Emulators.token(emulator, "pod-impatient");

        // When
        try (RawHttp impatient = new RawHttp(agent.port())) {
            impatient.send(request(token));
            emulator.whenCalls(1).orTimeout(30, TimeUnit.SECONDS).join();
        }
        gate.release();

        // Then: the next request gets the result, and there was only one call
        agent.awaitLine(line -> line.contains("EKS Auth issued credentials") && line.contains("pod-impatient"));
        assertThat(RawHttp.exchange(agent.port(), request(token)).status()).isEqualTo(200);
        assertThat(emulator.calls()).isOne();
    }

    private static List<RawHttp> connect() throws IOException {
        List<RawHttp> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            clients.add(new RawHttp(agent.port()));
        }
        return clients;
    }

    private static List<RawHttp.Answer> ask(IntFunction<String> tokens) throws IOException {
        return ask(connect(), tokens);
    }

    /** Sends all requests before it reads the first response. */
    private static List<RawHttp.Answer> ask(List<RawHttp> clients, IntFunction<String> tokens) throws IOException {
        for (int i = 0; i < clients.size(); i++) {
            clients.get(i).send(request(tokens.apply(i)));
        }
        List<RawHttp.Answer> answers = new ArrayList<>();
        for (RawHttp client : clients) {
            answers.add(client.answer());
        }
        return answers;
    }
}

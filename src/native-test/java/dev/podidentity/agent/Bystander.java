package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * A well-behaved pod that runs while another attacks the agent. It requests cached credentials, both on a new connection
 * each time and on a persistent one, and calls the probe like the kubelet. Every response must be a 200 that arrives before
 * a client would give up; {@link #close} checks this.
 */
final class Bystander implements AutoCloseable {

    /** The longest timeout of any SDK. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final long ASK_EVERY_MILLIS = 50;
    /** The rate limit of a source on the probe listener is ten per second. */
    private static final long PROBE_EVERY_MILLIS = 200;
    private static final long LONGEST_WAIT_SECONDS = 120;

    private final AgentProcess agent;
    private final String source;
    private final String token;
    private final ScheduledExecutorService asking = Executors.newScheduledThreadPool(2, task -> {
        Thread thread = new Thread(task, "bystander");
        thread.setDaemon(true);
        return thread;
    });
    private final List<String> failures = new CopyOnWriteArrayList<>();
    private final List<CountDownLatch> watchers = new CopyOnWriteArrayList<>();
    private RawHttp kept;

    private Bystander(AgentProcess agent, String source, String token) {
        this.agent = agent;
        this.source = source;
        this.token = token;
    }

    /**
     * Starts the requests once the credentials are cached.
     *
     * @param source the loopback address from which to send requests
     */
    static Bystander of(AgentProcess agent, String source, String token) throws IOException {
        Bystander bystander = new Bystander(agent, source, token);
        try (RawHttp http = RawHttp.from(source, AgentProcess.LOOPBACK, agent.port())) {
            assertThat(http.askAsSdk(token).status()).isEqualTo(200);
        }
        bystander.kept = bystander.connect();
        bystander.asking.scheduleWithFixedDelay(bystander::ask, 0, ASK_EVERY_MILLIS, TimeUnit.MILLISECONDS);
        bystander.asking.scheduleWithFixedDelay(bystander::probe, 0, PROBE_EVERY_MILLIS, TimeUnit.MILLISECONDS);
        return bystander;
    }

    /** Waits until this many further requests are done, successful or not. */
    Bystander asks(int times) {
        CountDownLatch asked = new CountDownLatch(times);
        watchers.add(asked);
        try {
            assertThat(asked.await(LONGEST_WAIT_SECONDS, TimeUnit.SECONDS)).as("the bystander asks").isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        watchers.remove(asked);
        return this;
    }

    /** Returns the failures so far. */
    List<String> failures() {
        return List.copyOf(failures);
    }

    private void ask() {
        try (RawHttp http = connect()) {
            note("on a new connection", http.send(RawHttp.request(token)).answer());
        } catch (IOException e) {
            failures.add("on a new connection: " + e);
        }
        try {
            note("on its own connection", kept.send(RawHttp.request(token)).answer());
        } catch (IOException e) {
            failures.add("on its own connection: " + e);
        }
        watchers.forEach(CountDownLatch::countDown);
    }

    private void probe() {
        try (RawHttp http = new RawHttp("localhost", agent.port("probes"), PATIENCE)) {
            note("as a probe", http.send(RawHttp.request("GET", "/healthz", "Host: localhost")).answer());
        } catch (IOException e) {
            failures.add("as a probe: " + e);
        }
    }

    private void note(String how, RawHttp.Answer answer) {
        if (answer.status() != 200) {
            failures.add(how + ": " + answer.statusLine());
        }
    }

    private RawHttp connect() throws IOException {
        return RawHttp.from(source, AgentProcess.LOOPBACK, agent.port(), PATIENCE);
    }

    /** Stops the requests, and checks that all of them succeeded. */
    @Override
    public void close() throws IOException {
        asking.shutdown();
        try {
            assertThat(asking.awaitTermination(LONGEST_WAIT_SECONDS, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        kept.close();
        assertThat(failures).as("what the bystander did not get").isEmpty();
    }
}

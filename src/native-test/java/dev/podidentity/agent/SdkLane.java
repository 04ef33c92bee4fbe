package dev.podidentity.agent;

import dev.podidentity.agent.LivingWorkload.Reply;
import dev.podidentity.agent.SdkReport.Attempt;
import dev.podidentity.agent.SdkReport.Quote;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Runs the cases of {@link SdkMatrix} for one SDK, in isolation from others. Each attempt is that of a new pod. */
final class SdkLane implements AutoCloseable {

    private static final String NAMESPACE = "shop";
    private static final String ROLE = "arn:aws:iam::123456789012:role/shop";
    private static final String EKS_AUTH_SAYS = "<what EKS Auth says>";

    private static final String REQUEST_ID = "\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}";

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Duration LOOK_AGAIN = Duration.ofMillis(5);
    /** The delay between the attempts of an application that waits for its credentials. */
    private static final Duration RETRY = Duration.ofMillis(100);
    /** The delay of an application that sends requests continuously; it stays below the agent's rate limit per source. */
    private static final Duration ASK_AGAIN = Duration.ofMillis(10);
    private static final Duration EXPIRING_FOR = Duration.ofSeconds(5);
    /** This close to expiration, all SDKs request new credentials; Rust is the last, at 10 s. */
    private static final Duration ABOUT_TO_EXPIRE = Duration.ofSeconds(8);
    /** For all SDKs except Rust and JavaScript v2, which request new credentials 10 and 15 s before expiration. */
    private static final Duration EXPIRES_SOON = Duration.ofMinutes(4);
    private static final Duration BECOMES_READY = Duration.ofSeconds(5);
    private static final int AT_ONCE = 50;

    private final Workload workload;
    private final SdkReport report;
    private final Path directory;
    private final Path tokenFile;
    private final NodeAndPod place;
    private final EksAuthEmulator emulator;
    private final LivingWorkload living;
    private final LivingWorkload overIpv6;
    private AgentProcess agent;
    private int pods;
    private String serviceAccount;
    private String token;

    SdkLane(Workload workload, List<String> command, Path directory, SdkReport report) {
        this.workload = workload;
        this.report = report;
        this.directory = directory;
        this.tokenFile = directory.resolve("eks-pod-identity-token");
        this.place = NodeAndPod.create();
        this.emulator = place.emulator();
        place.initialize();
        this.agent = launch();
        NodeAndPod.awaitReady(agent);
        List<String> inside = place.pod().inside(command.toArray(String[]::new));
        this.living = LivingWorkload.start(
                inside, LivingWorkload.environment(NodeAndPod.IPV4, tokenFile, directory), directory.resolve("errors"));
        Map<String, String> environment = new HashMap<>(workload.environmentForIpv6());
        environment.putAll(LivingWorkload.environment(NodeAndPod.IPV6, tokenFile, directory));
        this.overIpv6 = LivingWorkload.start(inside, environment, directory.resolve("errors-ipv6"));
        // A program's first call loads its classes and modules.
        newPod();
        living.ask("fresh");
        overIpv6.ask("fresh");
    }

    private AgentProcess launch() {
        return place.launchAgent(SdkMatrix.AGENT_FLAGS);
    }

    /** Sends SIGTERM, waits until the agent ends, and keeps the log. */
    private void stopAgent() {
        agent.close();
        try {
            Files.write(directory.resolve("agent-" + agent.pid() + ".log"), agent.output());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Runs a case once. */
    void run(SdkCase which) {
        newPod();
        switch (which) {
            case COLD -> first(which, living);
            case IPV6 -> first(which, overIpv6);
            case HIT -> {
                living.ask("fresh");
                first(which, living);
            }
            case THROTTLED_1_S -> troubled(which, error(EksAuthError.THROTTLING), Duration.ofSeconds(1));
            case THROTTLED_3_S -> troubled(which, error(EksAuthError.THROTTLING), Duration.ofSeconds(3));
            case SLOW_1200_MS -> {
                emulator.inject(new Fault.Latency(Duration.ofMillis(1_200)));
                first(which, living);
            }
            case SLOW_2500_MS -> {
                emulator.inject(new Fault.Latency(Duration.ofMillis(2_500)));
                first(which, living);
            }
            case AWAY_5_S -> away(which, Duration.ofSeconds(5));
            case ASSOCIATION_FIRST_CALL -> association(which);
            case ASSOCIATION_SERVED -> served(which);
            case ROTATED -> rotated(which);
            case RESTARTED -> handOver(which, this::restart);
            case REPLACED -> handOver(which, this::replace);
            case EXPIRING -> expiring(which);
            case FIFTY_COLD -> fifty(which);
            case FIFTY_HIT -> {
                living.ask("fresh");
                fifty(which);
            }
        }
    }

    /** Causes a permanent failure once. */
    void run(SdkTrouble trouble) {
        newPod(trouble.name().toLowerCase(Locale.ROOT).replace('_', '-'));
        switch (trouble) {
            case NO_ASSOCIATION -> emulator.disassociate(NAMESPACE, serviceAccount);
            case ACCESS_DENIED -> emulator.inject(error(EksAuthError.ACCESS_DENIED));
            case INVALID_TOKEN -> emulator.inject(error(EksAuthError.INVALID_TOKEN));
            case EXPIRED_TOKEN -> {
                Instant yesterday = Instant.now().minus(Duration.ofHours(25));
                present(emulator.tokens().mint(request().withIssuedAt(yesterday)));
            }
            case WRONG_AUDIENCE -> present(emulator.tokens().mint(request().withAudience("sts.amazonaws.com")));
            case NO_TOKEN -> present("");
            case NODE_ROLE -> emulator.inject(new Fault.ErrorAnswer(403, "AccessDeniedException", EKS_AUTH_SAYS));
            case THROTTLED -> emulator.inject(error(EksAuthError.THROTTLING));
            case INTERNAL_ERROR -> emulator.inject(error(EksAuthError.INTERNAL_SERVER));
            case UNAVAILABLE -> emulator.inject(error(EksAuthError.SERVICE_UNAVAILABLE));
            case REFUSED -> place.refuseConnections();
            case NO_AGENT -> stopAgent();
        }
        Reply reply = living.ask("fresh");
        String text = reply.ok()
                ? "(it gets credentials)"
                : workload.shortened(reply.error())
                        .replace(place.eksAuthAddress(), "<address>")
                        .replaceAll(REQUEST_ID, "<request id>");
        report.add(new Quote(workload, trouble, reply.millis(), text));
        if (trouble == SdkTrouble.NO_AGENT) {
            agent = launch();
            NodeAndPod.awaitReady(agent);
        }
    }

    private void newPod() {
        newPod("checkout-" + ++pods);
    }

    /** Removes all faults, and starts another pod of another service account. */
    private void newPod(String account) {
        place.heal();
        serviceAccount = account;
        emulator.associate(NAMESPACE, account, ROLE);
        present(emulator.tokens().mint(request()));
    }

    private TokenRequest request() {
        return emulator.tokens().request(NAMESPACE, serviceAccount, serviceAccount + "-0");
    }

    private void present(String newToken) {
        token = newToken;
        try {
            Files.writeString(tokenFile, newToken);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Fault error(EksAuthError error) {
        return new Fault.ErrorAnswer(error.status(), error.type(), EKS_AUTH_SAYS);
    }

    private void first(SdkCase which, LivingWorkload application) {
        int before = emulator.calls(token);
        Reply reply = application.ask("fresh");
        add(which, reply, reply.millis(), emulator.calls(token) - before);
    }

    private void add(SdkCase which, Reply reply, long millis, int upstream) {
        report.add(new Attempt(workload, which, reply.ok() ? 1 : 0, 1, millis, upstream, -1, reply.ok() ? "" : reply.error()));
    }

    /** Applies a fault from before the first request until a given time after EKS Auth received it. */
    private void troubled(SdkCase which, Fault fault, Duration duration) {
        emulator.inject(fault);
        CompletableFuture<Void> end = later(() -> emulator.calls(token) > 0, duration, emulator::heal);
        first(which, living);
        end.cancel(true);
    }

    /**
     * Makes EKS Auth unreachable from before the first request until a given time after the agent's first refused
     * connection.
     */
    private void away(SdkCase which, Duration duration) {
        place.refuseConnections();
        // The agent may have noticed at once that a pooled connection broke.
        long before = refusedConnections();
        CompletableFuture<Void> end = later(() -> refusedConnections() > before, duration, place::heal);
        Reply reply = living.ask("fresh");
        int calls = (int) (refusedConnections() - before) + emulator.calls(token);
        end.cancel(true);
        add(which, reply, reply.millis(), calls);
    }

    /** Returns the number of refused connections of all processes on the node; only the agent makes any. */
    private long refusedConnections() {
        try {
            List<String> tcp = Files.readAllLines(Path.of("/proc/" + agent.pid() + "/net/snmp")).stream()
                    .filter(line -> line.startsWith("Tcp: "))
                    .toList();
            int column = List.of(tcp.get(0).split(" ")).indexOf("AttemptFails");
            return Long.parseLong(tcp.get(1).split(" ")[column]);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void association(SdkCase which) {
        emulator.disassociate(NAMESPACE, serviceAccount);
        CompletableFuture<Void> end = later(() -> emulator.calls(token) > 0, Duration.ofSeconds(3), this::associate);
        first(which, living);
        end.cancel(true);
    }

    private void associate() {
        emulator.associate(NAMESPACE, serviceAccount, ROLE);
    }

    private void served(SdkCase which) {
        emulator.disassociate(NAMESPACE, serviceAccount);
        CompletableFuture<Long> appeared = later(() -> emulator.calls(token) > 0, Duration.ofSeconds(3), () -> {
            associate();
            return System.nanoTime();
        });
        long start = System.nanoTime();
        Reply reply = living.ask("fresh");
        while (!reply.ok() && since(start) < PATIENCE.toMillis()) {
            LockSupport.parkNanos(RETRY.toNanos());
            reply = living.ask("fresh");
        }
        add(which, reply, since(appeared.isDone() ? appeared.join() : start), emulator.calls(token));
        appeared.cancel(true);
    }

    private void rotated(SdkCase which) {
        emulator.inject(new Fault.ShortExpiry(ABOUT_TO_EXPIRE));
        living.ask("fresh");
        emulator.heal();
        present(emulator.tokens().mint(request()));
        Reply reply = living.ask("again");
        // JavaScript v3 fetches new credentials while it still returns the old ones; Rust randomizes how early it renews.
        for (long start = System.nanoTime(); reply.ok() && emulator.calls(token) == 0
                && since(start) < ABOUT_TO_EXPIRE.toMillis();) {
            LockSupport.parkNanos(RETRY.toNanos());
            reply = living.ask("again");
        }
        boolean sent = emulator.calls(token) > 0;
        report.add(new Attempt(workload, which, reply.ok() && sent ? 1 : 0, 1, reply.millis(), emulator.calls(token), -1,
                reply.ok() ? sent ? "" : "the new token is not sent" : reply.error()));
    }

    /** Starts the new agent after the old one has ended. */
    private AgentProcess restart() {
        stopAgent();
        AgentProcess started = launch();
        NodeAndPod.awaitReady(started);
        return started;
    }

    /** Sends SIGTERM to the old agent when the new one is ready, or after 5 s. */
    private AgentProcess replace() {
        AgentProcess started = launch();
        for (long start = System.nanoTime(); !NodeAndPod.isReady(started) && since(start) < BECOMES_READY.toMillis();) {
            LockSupport.parkNanos(LOOK_AGAIN.toNanos());
        }
        stopAgent();
        NodeAndPod.awaitReady(started);
        return started;
    }

    /** Sends requests continuously while another agent takes over. */
    private void handOver(SdkCase which, Supplier<AgentProcess> change) {
        living.ask("fresh");
        CompletableFuture<AgentProcess> next = CompletableFuture.supplyAsync(change);
        List<Reply> replies = new ArrayList<>();
        do {
            replies.add(living.ask("fresh"));
            LockSupport.parkNanos(ASK_AGAIN.toNanos());
        } while (!next.isDone());
        replies.add(living.ask("fresh"));
        agent = next.join();
        add(which, replies, emulator.calls(token), -1);
    }

    private void expiring(SdkCase which) {
        boolean late = workload == Workload.RUST || workload == Workload.JAVASCRIPT_V2;
        emulator.inject(new Fault.ShortExpiry(late ? ABOUT_TO_EXPIRE : EXPIRES_SOON));
        living.ask("fresh");
        int before = emulator.calls(token);
        long requestsBefore = requests();
        List<Reply> replies = new ArrayList<>();
        for (long start = System.nanoTime(); since(start) < EXPIRING_FOR.toMillis();) {
            replies.add(living.ask("again"));
            LockSupport.parkNanos(RETRY.toNanos());
        }
        add(which, replies, emulator.calls(token) - before, (int) (requests() - requestsBefore));
    }

    private void fifty(SdkCase which) {
        int before = emulator.calls(token);
        List<Reply> replies = living.burst(AT_ONCE);
        add(which, replies, emulator.calls(token) - before, -1);
    }

    private void add(SdkCase which, List<Reply> replies, int upstream, int requests) {
        int succeeded = (int) replies.stream().filter(Reply::ok).count();
        long longest = replies.stream().mapToLong(Reply::millis).max().orElseThrow();
        String problem = replies.stream().filter(reply -> !reply.ok()).map(Reply::error).findFirst().orElse("");
        report.add(new Attempt(workload, which, succeeded, replies.size(), longest, upstream, requests, problem));
    }

    /** Returns the number of requests that the agent has answered. */
    private long requests() {
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create("http://" + place.nodeAddress() + ":2705/metrics")).build();
            return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body().lines()
                    .filter(line -> line.startsWith("pod_identity_requests_total"))
                    .mapToLong(line -> (long) Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                    .sum();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Runs an action a given time after a condition holds, unless it is cancelled. */
    private static <T> CompletableFuture<T> later(BooleanSupplier happened, Duration delay, Supplier<T> action) {
        CompletableFuture<T> done = new CompletableFuture<>();
        AgentProcess.daemon("later", () -> {
            while (!happened.getAsBoolean() && !done.isDone()) {
                LockSupport.parkNanos(LOOK_AGAIN.toNanos());
            }
            for (long start = System.nanoTime(); since(start) < delay.toMillis() && !done.isDone();) {
                LockSupport.parkNanos(LOOK_AGAIN.toNanos());
            }
            if (!done.isDone()) {
                done.complete(action.get());
            }
        });
        return done;
    }

    private static CompletableFuture<Void> later(BooleanSupplier happened, Duration delay, Runnable action) {
        return later(happened, delay, () -> {
            action.run();
            return null;
        });
    }

    private static long since(long start) {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
    }

    @Override
    public void close() {
        living.close();
        overIpv6.close();
        stopAgent();
        place.close();
    }
}

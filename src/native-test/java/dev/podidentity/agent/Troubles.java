package dev.podidentity.agent;

import dev.podidentity.agent.badday.History.Ending;
import dev.podidentity.agent.badday.History.Span;
import dev.podidentity.agent.badday.Schedule.Phase;
import dev.podidentity.agent.badday.Trouble;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** Causes the faults of one phase of a {@link BadDay}, and ends them. */
final class Troubles implements AutoCloseable {

    private static final String UNASSOCIATED = "sa0";
    /** How often the agent reads its credentials file while the file contains credentials. */
    private static final Duration READ_EVERY = Duration.ofMinutes(1);
    private static final Duration JUMP = Duration.ofHours(2);
    private static final long LONGEST_TURN_SECONDS = 10;
    /** Descriptors that the agent may open in addition to the current ones. */
    private static final int SOME_DESCRIPTORS = 20;

    private final Cluster cluster;
    private final EksAuthEmulator eksAuth;
    private final SupervisedAgent agent;
    private final CredentialsFile credentials;
    private final SdkClients clients;
    private final List<SdkClients.Pod> pods;
    private final int port;
    private final LongSupplier now;
    private final Random random;
    private final ScheduledExecutorService turns = Executors.newSingleThreadScheduledExecutor();
    private final List<Span> begun = new ArrayList<>();
    private final List<Span> over = new ArrayList<>();
    private final List<HostilePod> hostile = new ArrayList<>();
    /** The agent's normal limit of descriptors. */
    private String descriptors = "";
    private boolean refusing;

    Troubles(Cluster cluster, SupervisedAgent agent, CredentialsFile credentials, SdkClients clients,
            List<SdkClients.Pod> pods, int port, LongSupplier now, Random random) {
        this.cluster = cluster;
        this.eksAuth = cluster.eksAuth();
        this.agent = agent;
        this.credentials = credentials;
        this.clients = clients;
        this.pods = List.copyOf(pods);
        this.port = port;
        this.now = now;
        this.random = random;
    }

    /** Starts all faults of a phase except those that end the agent. */
    void begin(Phase phase, Duration length) throws IOException {
        for (Trouble trouble : phase.troubles()) {
            if (trouble != Trouble.TERMINATED && trouble != Trouble.KILLED) {
                begun.add(new Span(trouble, now.getAsLong(), Long.MAX_VALUE,
                        trouble == Trouble.NO_ASSOCIATION ? UNASSOCIATED : ""));
                begin(trouble, length);
            }
        }
    }

    private void begin(Trouble trouble, Duration length) throws IOException {
        switch (trouble) {
            case HANGING -> eksAuth.inject(new Fault.Hang());
            case RESETTING -> eksAuth.inject(new Fault.Reset());
            case SLOW_BYTES -> eksAuth.inject(new Fault.SlowBody(Duration.ofMillis(20)));
            case LATE -> eksAuth.inject(new Fault.Latency(Duration.ofMillis(1_500)));
            case THROTTLING -> inTurns(Duration.ofMillis(700),
                    () -> eksAuth.inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING)), eksAuth::heal);
            case WRONG_BODIES -> inTurns(Duration.ofMillis(150), wrongBodies().stream()
                    .<Runnable>map(fault -> () -> eksAuth.inject(fault))
                    .toArray(Runnable[]::new));
            case REFUSING -> refuse();
            case FLAPPING -> inTurns(Duration.ofMillis(400), this::refuse, this::accept);
            case EXPIRING -> {
                eksAuth.inject(new Fault.ShortExpiry(Duration.ofSeconds(Math.max(2, length.toSeconds() / 3))));
                turns.schedule(this::refuse, length.toMillis() / 2, TimeUnit.MILLISECONDS);
            }
            case NO_ASSOCIATION -> eksAuth.disassociate(Emulators.NAMESPACE, UNASSOCIATED);
            case API_SERVER_AWAY -> cluster.api().stop();
            case HALF_WRITTEN_CREDENTIALS -> {
                // The agent accepts half of a key as a key, and reads the file again only after the interval.
                if (random.nextBoolean() && length.compareTo(READ_EVERY) > 0) {
                    credentials.writeHalfOfTheSecretKey();
                } else {
                    credentials.writeWithoutSecretKey();
                }
            }
            case CLOCK_JUMPS -> inTurns(length.dividedBy(3), () -> setClock(JUMP), () -> setClock(JUMP.negated()));
            case HOSTILE_POD -> hostile.add(HostilePod.abusive("127.0.9.1", port, random.nextLong(), clients, pods));
            case NO_DESCRIPTORS -> {
                limitDescriptors();
                for (int source = 1; source <= 2; source++) {
                    hostile.add(HostilePod.greedy("127.0.8." + source, port, random.nextLong()));
                }
            }
            case LITTLE_MEMORY -> agent.limitMemory();
            case TERMINATED, KILLED -> throw new IllegalArgumentException("not here: " + trouble);
        }
    }

    private static List<Fault> wrongBodies() {
        List<Fault> faults = new ArrayList<>(List.of(new Fault.NotJson(), new Fault.OtherSubject(Emulators.NAMESPACE, "sa1"),
                new Fault.Truncated(), new Fault.EmptyBody(), new Fault.Redirect(), new Fault.WrongType("credentials")));
        Fault.ANSWER_FIELDS.forEach(field -> faults.add(new Fault.MissingField(field)));
        return faults;
    }

    /** Does one thing after another, repeatedly. */
    private void inTurns(Duration each, Runnable... things) {
        int[] next = {0};
        turns.scheduleAtFixedRate(
                () -> things[next[0]++ % things.length].run(), 0, each.toMillis(), TimeUnit.MILLISECONDS);
    }

    private synchronized void refuse() {
        if (!refusing) {
            eksAuth.refuseConnections();
            refusing = true;
        }
    }

    private synchronized void accept() {
        if (refusing) {
            eksAuth.acceptConnections();
            refusing = false;
        }
    }

    private void setClock(Duration ahead) {
        try {
            agent.setClock(ahead);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void limitDescriptors() throws IOException {
        descriptors = prlimit("--output=SOFT", "--noheadings", "--nofile").strip();
        prlimit("--nofile=" + (agent.descriptors() + SOME_DESCRIPTORS) + ":");
    }

    private String prlimit(String... arguments) {
        return NetworkNamespace.run(Stream.concat(
                        Stream.of("prlimit", "--pid", Long.toString(agent.pid())), Stream.of(arguments)).toList());
    }

    /** Restarts the agent, if the phase includes that. */
    void restart(Phase phase) {
        phase.sharing().ifPresent(sharing -> {
            for (Trouble trouble : phase.troubles()) {
                if (trouble == Trouble.TERMINATED || trouble == Trouble.KILLED) {
                    long from = now.getAsLong();
                    agent.restart(trouble == Trouble.TERMINATED ? Ending.SIGTERM : Ending.SIGKILL, sharing);
                    over.add(new Span(trouble, from, now.getAsLong(), ""));
                }
            }
        });
    }

    /** Ends all faults; returns when each was present. */
    List<Span> end() throws IOException, InterruptedException {
        turns.shutdownNow();
        if (!turns.awaitTermination(LONGEST_TURN_SECONDS, TimeUnit.SECONDS)) {
            throw new IllegalStateException("A trouble does not end");
        }
        hostile.forEach(HostilePod::close);
        hostile.clear();
        eksAuth.heal();
        accept();
        for (Span span : begun) {
            switch (span.trouble()) {
                case NO_ASSOCIATION -> eksAuth.associate(Emulators.NAMESPACE, UNASSOCIATED, BadDay.ROLE + UNASSOCIATED);
                case API_SERVER_AWAY -> cluster.api().restart();
                case HALF_WRITTEN_CREDENTIALS -> credentials.writeAll();
                case CLOCK_JUMPS -> agent.setClock(Duration.ZERO);
                case NO_DESCRIPTORS -> prlimit("--nofile=" + descriptors + ":");
                case LITTLE_MEMORY -> agent.restoreMemory();
                default -> { }
            }
            over.add(new Span(span.trouble(), span.from(), now.getAsLong(), span.serviceAccount()));
        }
        begun.clear();
        return over;
    }

    @Override
    public void close() throws IOException {
        turns.shutdownNow();
        hostile.forEach(HostilePod::close);
    }
}

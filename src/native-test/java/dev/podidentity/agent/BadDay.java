package dev.podidentity.agent;

import dev.podidentity.agent.badday.Checker;
import dev.podidentity.agent.badday.Client;
import dev.podidentity.agent.badday.ClientKind;
import dev.podidentity.agent.badday.Exchange;
import dev.podidentity.agent.badday.History;
import dev.podidentity.agent.badday.History.Credentials;
import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.History.Span;
import dev.podidentity.agent.badday.Rules;
import dev.podidentity.agent.badday.Schedule;
import dev.podidentity.agent.badday.Schedule.Phase;
import dev.podidentity.agent.badday.Trouble;
import dev.podidentity.agent.badday.Violation;
import dev.podidentity.agent.badday.Violation.Invariant;
import dev.podidentity.emulator.Issued;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.Pod;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.LongSupplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A bad day of a node, minutes long: 500 pods send requests as SDKs do, while EKS Auth, the API server, the node and other
 * pods cause faults. {@code mvn -Pbad-day} runs it against the native executable named by {@code agent.executable}; the
 * {@link Checker} finds violations.
 */
public final class BadDay {

    private static final int PODS = 500;
    private static final int SERVICE_ACCOUNTS = 10;
    private static final int SOURCES = 20;
    /** Pods and tokens that are replaced at the start of a fault. */
    private static final int NEWCOMERS = 25;
    /** More than the number of pods, so that entries of deleted pods are evicted first. */
    private static final int CACHED = 700;
    static final String ROLE = "arn:aws:iam::123456789012:role/";
    /** The age of the first pods' tokens, which must also be valid by a clock that is set back. */
    private static final Duration TOKEN_AGE = Duration.ofHours(3);
    private static final Duration LONGEST_REST = Duration.ofSeconds(4);
    /** Longer than the interval at which the agent reads its credentials file. */
    private static final Duration LONGEST_TROUBLE = Duration.ofSeconds(70);
    private static final Duration TROUBLE = Duration.ofSeconds(10);
    /** Longer than memory, descriptors and threads take to settle. */
    private static final Duration REST = Duration.ofSeconds(15);
    private static final Duration SHORT_TROUBLE = Duration.ofSeconds(2);
    private static final int SHOWN = 10;
    private static final Path LOG = Path.of("target", "bad-day.log");
    /**
     * The logger of the fake API server, which logs each request. Referenced here because loggers can be garbage-collected.
     */
    private static final Logger LINES_OF_THE_API_SERVER = Logger.getLogger("io.fabric8.mockwebserver");

    private final long seed;
    private final Rules rules;
    private final PrintStream out;
    private final long began = System.nanoTime();
    private final Instant midnight = Instant.now();
    private final LongSupplier now = () -> System.nanoTime() - began;
    private final Random random;
    private final Cluster cluster;
    private final int port = FreePorts.one();
    private final CredentialsFile credentials;
    private final SupervisedAgent agent;
    private final SdkClients clients;
    private final List<SdkClients.Pod> pods = new ArrayList<>();
    private final Map<Integer, Pod> objects = new HashMap<>();
    private final Map<String, Client> owners = new ConcurrentHashMap<>();
    private final ConcurrentLinkedQueue<Credentials> issued = new ConcurrentLinkedQueue<>();
    private final List<Span> spans = new ArrayList<>();
    private int tokens;

    private BadDay(Path directory, long seed, Rules rules, PrintStream out) throws IOException, InterruptedException {
        this.seed = seed;
        this.rules = rules;
        this.out = out;
        this.random = new Random(seed);
        this.cluster = Cluster.start(directory);
        this.credentials = new CredentialsFile(directory.resolve("credentials"), cluster.eksAuth());
        cluster.eksAuth().onIssued(this::note);
        this.agent = new SupervisedAgent(
                directory,
                now,
                Map.of(
                        "AWS_SHARED_CREDENTIALS_FILE", credentials.path().toString(),
                        "AWS_REGION", cluster.eksAuth().region(),
                        "AWS_EC2_METADATA_DISABLED", "true",
                        "NODE_NAME", Cluster.NODE),
                List.of("server", "--cluster-name", cluster.eksAuth().clusterName(),
                        "--endpoint", cluster.eksAuth().endpoint().toString(),
                        "--bind-hosts", AgentProcess.LOOPBACK, "--port", Integer.toString(port), "--probe-port", "0",
                        "--metrics-address", AgentProcess.LOOPBACK, "--metrics-port", "0", "--verbosity", "trace",
                        "--rotate-credentials", "--max-cache-size", Integer.toString(CACHED),
                        "--max-credential-retention-before-renewal", "60s"),
                Stream.concat(cluster.flags().stream(), Stream.of("--token-verification", "jwks", "--pod-watch", "--events"))
                        .toList(),
                Stream.concat(AgentProcess.SECRETS.stream(), Stream.of(cluster.eksAuth().secretAccessKey())).toList(),
                LOG);
        this.clients = new SdkClients(port, now, LONGEST_REST, seed);
    }

    /** {@code mvn -Pbad-day -Dbad-day.minutes=20 -Dbad-day.seed=1}; with 0 minutes it does the same as {@code BadDayIT}. */
    public static void main(String... args) throws Exception {
        long seed = Long.getLong("bad-day.seed", new Random().nextInt(1_000_000));
        Duration length = Duration.ofMinutes(Long.getLong("bad-day.minutes", 20));
        List<Violation> violations = length.isZero() ? runEach(seed) : run(seed, length);
        if (!violations.isEmpty()) {
            throw new IllegalStateException(violations.size() + " things happened that must not; see above");
        }
    }

    /** Runs a random day of about this length, and returns the violations. */
    static List<Violation> run(long seed, Duration length) throws IOException, InterruptedException {
        return inDirectory(directory -> {
            BadDay day = new BadDay(directory, seed, Rules.usual(), System.out);
            return day.live(() -> day.pass(length));
        });
    }

    /** Runs a day with each kind of fault once, as fast as possible, and returns the violations. */
    static List<Violation> runEach(long seed) throws IOException, InterruptedException {
        return inDirectory(directory -> {
            BadDay day = new BadDay(directory, seed, Rules.withoutRest(), System.out);
            return day.live(day::passEach);
        });
    }

    private interface InDirectory {
        List<Violation> run(Path directory) throws IOException, InterruptedException;
    }

    private interface Hours {
        void pass() throws IOException, InterruptedException;
    }

    private static List<Violation> inDirectory(InDirectory day) throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("bad-day");
        try {
            return day.run(directory);
        } finally {
            try (Stream<Path> files = Files.walk(directory)) {
                for (Path file : files.sorted((one, other) -> other.compareTo(one)).toList()) {
                    Files.delete(file);
                }
            }
        }
    }

    // The day

    private List<Violation> live(Hours hours) throws IOException, InterruptedException {
        LINES_OF_THE_API_SERVER.setLevel(Level.WARNING);
        say("seed %d", seed);
        agent.missing().forEach(missing -> say("left out: %s", missing));
        try {
            for (int account = 0; account < SERVICE_ACCOUNTS; account++) {
                newServiceAccount(account);
            }
            for (int slot = 0; slot < PODS; slot++) {
                pods.add(newPod(slot, serviceAccount(slot % SERVICE_ACCOUNTS), TOKEN_AGE));
            }
            say("%d pods", PODS);
            agent.start(Sharing.TOKEN);
            pods.forEach(clients::put);
            // The first requests warm up the code of this JVM.
            awaitServed(now.getAsLong());
            hours.pass();
        } finally {
            clients.close();
            agent.close();
            cluster.close();
        }
        return check();
    }

    private void pass(Duration length) throws IOException, InterruptedException {
        Schedule schedule = new Schedule(seed, agent.possible());
        long end = now.getAsLong() + length.toNanos();
        long lastStart = now.getAsLong() + length.dividedBy(4).toNanos();
        while (now.getAsLong() < lastStart) {
            goSlowly(schedule.next(true));
        }
        goSlowly(new Phase(List.of(Trouble.TERMINATED), Optional.of(Sharing.SERVICE_ACCOUNT)));
        agent.awaitVerification();
        while (now.getAsLong() < end) {
            goSlowly(schedule.next(false));
        }
    }

    private void goSlowly(Phase phase) throws IOException, InterruptedException {
        boolean file = phase.troubles().contains(Trouble.HALF_WRITTEN_CREDENTIALS);
        go(phase, file ? LONGEST_TROUBLE : TROUBLE);
        Thread.sleep(REST.toMillis());
    }

    private void passEach() throws IOException, InterruptedException {
        for (Phase phase : new Schedule(seed, agent.possible()).each()) {
            go(phase, SHORT_TROUBLE);
        }
    }

    private void go(Phase phase, Duration length) throws IOException, InterruptedException {
        say("%s", phase.troubles());
        cluster.eksAuth().resetCounts();
        try (Troubles troubles = new Troubles(cluster, agent, credentials, clients, pods, port, now, random)) {
            troubles.begin(phase, length);
            replacePods();
            Thread.sleep(length.dividedBy(4).toMillis());
            troubles.restart(phase);
            Thread.sleep(length.multipliedBy(3).dividedBy(4).toMillis());
            spans.addAll(troubles.end());
        }
        clients.hurry();
        awaitServed(now.getAsLong());
    }

    // The pods

    private static String serviceAccount(int index) {
        return "sa" + index;
    }

    private String newServiceAccount(int index) {
        String name = serviceAccount(index);
        cluster.eksAuth().associate(Emulators.NAMESPACE, name, ROLE + name);
        return name;
    }

    private SdkClients.Pod newPod(int slot, String serviceAccount, Duration age) {
        Pod pod = cluster.createPod(serviceAccount, "pod-" + slot + "-" + tokens);
        objects.put(slot, pod);
        return withNewToken(slot, random.nextBoolean(), age);
    }

    private SdkClients.Pod withNewToken(int slot, boolean patient, Duration age) {
        Pod pod = objects.get(slot);
        Client client = new Client(slot, ClientKind.values()[slot % ClientKind.values().length],
                "127.0.1." + (1 + slot % SOURCES), patient, false,
                pod.getSpec().getServiceAccountName(), pod.getMetadata().getName(), tokens++,
                now.getAsLong() - age.toNanos());
        String token = cluster.mint(cluster.request(pod)
                .withIssuedAt(Instant.now().minus(age))
                .withAlgorithm(random.nextBoolean() ? Algorithm.RS256 : Algorithm.ES256));
        owners.put(token, client);
        return new SdkClients.Pod(client, token);
    }

    /** Replaces some tokens, and replaces some pods by others of the same or of a new service account. */
    private void replacePods() {
        for (int i = 0; i < NEWCOMERS; i++) {
            int slot = random.nextInt(PODS);
            Client old = pods.get(slot).client();
            SdkClients.Pod next = switch (random.nextInt(3)) {
                case 0 -> withNewToken(slot, old.patient(), Duration.ZERO);
                case 1 -> newPod(slot, old.serviceAccount(), Duration.ZERO);
                default -> newPod(slot, newServiceAccount(SERVICE_ACCOUNTS + tokens), Duration.ZERO);
            };
            pods.set(slot, next);
            clients.put(next);
        }
    }

    private void note(Issued credentials) {
        Client owner = owners.get(credentials.token());
        issued.add(new Credentials(
                ChronoUnit.NANOS.between(midnight, credentials.at()),
                ChronoUnit.NANOS.between(midnight, credentials.expiration()),
                credentials.expiration().truncatedTo(ChronoUnit.SECONDS).toString(),
                credentials.accessKeyId(),
                credentials.secretAccessKey(),
                credentials.sessionToken(),
                credentials.account(),
                credentials.serviceAccount(),
                owner == null ? "" : owner.pod(),
                owner == null ? -1 : owner.token()));
    }

    /** Waits until every pod has received credentials for one of its requests, or until the timeout. */
    private void awaitServed(long since) throws InterruptedException {
        int missing = clients.awaitServedSince(since, Trouble.HALF_WRITTEN_CREDENTIALS.recovery().plusSeconds(5));
        say("  all but %d pods served %.1f s later", missing, (now.getAsLong() - since) / 1e9);
    }

    // The results

    private List<Violation> check() {
        History history = new History(clients.exchanges(), List.copyOf(issued), spans, agent.lives(), agent.clocks(),
                clients.pauses(), agent.delays(), agent.vitals(), agent.complaints());
        say("%d requests: %s", history.exchanges().size(), history.exchanges().stream()
                .filter(exchange -> !exchange.client().hostile())
                .collect(Collectors.groupingBy(BadDay::outcome, TreeMap::new, Collectors.counting())));
        say("the test stood still for %.1f s, the agent's event loop waited %.1f s for a processor",
                history.pauses().stream().mapToLong(pause -> pause.to() - pause.from()).sum() / 1e9,
                history.delays().stream().mapToLong(History.Delay::nanos).max().orElse(0) / 1e9);
        Checker.quietPhases(history, rules).forEach(vitals -> say(
                "at rest: %.1f MB of anonymous memory, %d descriptors, %d threads",
                vitals.anonymousKib() * 1024 / 1e6, vitals.descriptors(), vitals.threads()));
        List<Violation> violations = Checker.check(history, rules);
        Map<Invariant, List<Violation>> byInvariant = violations.stream()
                .collect(Collectors.groupingBy(Violation::invariant, TreeMap::new, Collectors.toList()));
        byInvariant.forEach((invariant, found) -> {
            say("%s: %d violations, of which the first are", invariant, found.size());
            found.stream().limit(SHOWN).forEach(violation -> out.println("  " + violation));
        });
        say("%d violations; seed %d; the agent's log is in %s", violations.size(), seed, LOG);
        return violations;
    }

    private static String outcome(Exchange exchange) {
        return exchange.reply() instanceof Exchange.Answer answer
                ? Integer.toString(answer.status())
                : exchange.reply().getClass().getSimpleName();
    }

    private void say(String format, Object... arguments) {
        out.printf(Locale.ROOT, "%8.1f s  " + format + "%n",
                Stream.concat(Stream.of(now.getAsLong() / 1e9), Stream.of(arguments)).toArray());
    }
}

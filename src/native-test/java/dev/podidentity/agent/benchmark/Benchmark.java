package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Measures the native executable of the last build, and others for comparison: {@code mvn -Pbenchmark}. Asserts nothing.
 * docs/performance.md explains how to run it and how to read its results.
 */
public final class Benchmark {

    private static final Path OUTPUT = Path.of("target", "benchmark").toAbsolutePath();
    private static final Path PAGE = Path.of("docs", "performance.md").toAbsolutePath();
    private static final String PLOTS = "performance/";
    static final List<Group> GROUPS = List.of(
            new HitGroup(), new IdentityGroup(), new MissGroup(), new CoalescingGroup(), new BurstGroup(), new RenewalGroup(),
            new VerificationGroup(), new StartGroup(), new MemoryGroup(), new PeakGroup());

    private final Bench bench;
    private final List<Contender> contenders;
    private final List<Group> groups;
    private final Results results = new Results();

    private Benchmark(Bench bench, List<Contender> contenders, List<Group> groups) {
        this.bench = bench;
        this.contenders = contenders;
        this.groups = groups;
    }

    public static void main(String... args) throws IOException, InterruptedException {
        Settings settings = Settings.of(System.getProperties());
        List<Group> groups = groups(settings);
        if (settings.docs()) {
            page(groups, group -> "");
        }
        Wrk wrk = Wrk.find();
        if (!Files.isExecutable(settings.executable())) {
            throw new IllegalStateException("There is no " + settings.executable() + ": build it with mvn package -Dnative");
        }
        Files.createDirectories(OUTPUT);
        Machine machine = Machine.here(wrk);
        try (EksAuthProcess eksAuth = EksAuthProcess.start()) {
            Bench bench = new Bench(settings, wrk, eksAuth, new Tokens(eksAuth, OUTPUT), OUTPUT);
            Benchmark benchmark = new Benchmark(bench, contenders(bench), groups);
            benchmark.run();
            benchmark.write(machine);
        }
    }

    private static List<Group> groups(Settings settings) {
        List<String> names = GROUPS.stream().map(Group::name).toList();
        if (!names.containsAll(settings.cases())) {
            throw new IllegalArgumentException("benchmark.cases must be some of " + names + ": " + settings.cases());
        }
        return GROUPS.stream().filter(group -> settings.cases().isEmpty() || settings.cases().contains(group.name())).toList();
    }

    private static List<Contender> contenders(Bench bench) throws IOException {
        Settings settings = bench.settings();
        List<Contender> contenders = new ArrayList<>();
        Contender ours = Contender.ours(settings.executable());
        contenders.add(ours);
        settings.other().map(command -> Contender.other(settings.otherName(), command)).ifPresent(contenders::add);
        if (Files.isExecutable(settings.bare())) {
            contenders.add(Contender.bare(settings.bare(), answer(ours, bench)));
        } else {
            System.out.println("There is no bare handler to compare with: build it with mvn -Pbare package -Dnative");
        }
        return contenders;
    }

    /** Returns the agent's response, which the bare handler also sends. */
    private static Path answer(Contender ours, Bench bench) throws IOException {
        try (RunningAgent agent = bench.starter(ours).launch()) {
            return Files.writeString(
                    bench.directory().resolve("answer.json"), agent.answer(bench.tokens().first(1).get(0)).body());
        }
    }

    /** Measures all agents in turn, so that other activity on this machine affects all of them. */
    private void run() throws IOException, InterruptedException {
        for (Group group : groups) {
            for (int run = 0; run < group.rounds(bench.settings()); run++) {
                for (Contender contender : contenders) {
                    if (group.includes(contender)) {
                        run(group, contender, run);
                    }
                }
            }
            System.out.println("## " + group.title() + "\n\n" + ResultsTable.of(group, results));
        }
    }

    private void run(Group group, Contender contender, int run) throws IOException, InterruptedException {
        if (results.skipped(group.name()).stream().anyMatch(skipped -> skipped.contender().equals(contender.name()))) {
            return;
        }
        System.out.println(group.name() + ", run " + (run + 1) + ", " + contender.name());
        try {
            group.measure(contender, bench, (variant, values) -> results.add(group.name(), variant, contender, run, values));
        } catch (RunningAgent.DoesNotStart | Group.CannotBeMeasured e) {
            results.skip(group.name(), contender.name(), e.getMessage());
        }
    }

    private void write(Machine machine) throws IOException {
        Settings settings = bench.settings();
        Files.writeString(OUTPUT.resolve("results.md"), groups.stream()
                .map(group -> "## " + group.title() + "\n\n" + GroupText.of(group, results, machine, settings, ""))
                .collect(Collectors.joining("\n")));
        Files.writeString(
                OUTPUT.resolve("results.json"), ResultsJson.of(machine, settings, groups, results).encodePrettily() + "\n");
        writePlots(OUTPUT);
        if (settings.docs()) {
            Files.writeString(PAGE, page(groups, group -> GroupText.of(group, results, machine, settings, PLOTS)));
            writePlots(Files.createDirectories(PAGE.resolveSibling(PLOTS)));
        }
    }

    /** Returns the page with a text for each group. */
    private static String page(List<Group> groups, Function<Group, String> text) throws IOException {
        PerformancePage page = new PerformancePage(Files.readString(PAGE));
        for (Group group : groups) {
            page = page.with(group.name(), text.apply(group));
        }
        return page.text();
    }

    private void writePlots(Path directory) throws IOException {
        for (Group group : groups) {
            for (Plot plot : GroupText.plots(group, results)) {
                Files.writeString(directory.resolve(plot.file() + ".svg"), PlotSvg.of(plot));
            }
        }
    }
}

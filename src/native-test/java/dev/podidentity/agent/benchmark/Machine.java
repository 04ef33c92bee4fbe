package dev.podidentity.agent.benchmark;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The machine on which the figures were measured. */
record Machine(String processor, int processors, double memoryGibibytes, String kernel, String wrk, String date, double busy) {

    private static final double KIB_PER_GIBIBYTE = 1024 * 1024;

    static Machine here(Wrk wrk) throws IOException {
        double memory = value(Files.readAllLines(Path.of("/proc/meminfo")), "MemTotal")
                .map(text -> Long.parseLong(text.replaceAll("\\D", "")) / KIB_PER_GIBIBYTE)
                .orElseThrow();
        double busy = Double.parseDouble(Files.readString(Path.of("/proc/loadavg")).split(" ")[0]);
        return new Machine(
                value(Files.readAllLines(Path.of("/proc/cpuinfo")), "model name").orElse(System.getProperty("os.arch")),
                Runtime.getRuntime().availableProcessors(),
                memory,
                System.getProperty("os.name") + " " + release(System.getProperty("os.version")),
                release(wrk.version()),
                LocalDate.now(ZoneOffset.UTC).toString(),
                busy);
    }

    /** Returns a version without the distributor's suffix: 6.1.0 for 6.1.0-13-amd64. */
    static String release(String version) {
        return version.replaceFirst("(?<=\\d)[^\\d.].*", "");
    }

    private static Optional<String> value(List<String> lines, String name) {
        return lines.stream()
                .filter(line -> line.startsWith(name))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst();
    }

    /** Describes where and how the figures of a group were measured. */
    String text(Settings settings, Group group) {
        int runs = group.rounds(settings);
        return String.format(Locale.ROOT,
                "Measured on %s: %s, %d processors shared by the agent, the clients and EKS Auth, %.0f GiB of memory, %s, wrk %s."
                        + " %s. Each load from wrk lasts %d s. The load average beforehand was %.1f.\n",
                date, processor, processors, memoryGibibytes, kernel, wrk,
                runs == 1 ? "One run" : "Medians of " + runs + " runs, with minimum and maximum",
                settings.seconds(), busy);
    }

    JsonObject json() {
        return new JsonObject()
                .put("date", date)
                .put("processor", processor)
                .put("processors", processors)
                .put("memoryGibibytes", memoryGibibytes)
                .put("kernel", kernel)
                .put("wrk", wrk)
                .put("loadAverageBefore", busy);
    }
}

package dev.podidentity.agent.benchmark;

import dev.podidentity.agent.Emulators;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The emulated EKS Auth as a separate process. Its first line gives its address and the signing credentials; each line of
 * its input is a command, and has one line of output as the reply. It ends when its input ends. {@link EksAuthProcess}
 * communicates with it.
 */
final class EksAuthMain {

    private EksAuthMain() {}

    public static void main(String... args) throws IOException {
        try (EksAuthEmulator emulator = Emulators.start();
                BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            System.out.println(String.join(" ", emulator.endpoint().toString(), emulator.clusterName(), emulator.region(),
                    emulator.accessKeyId(), emulator.secretAccessKey()));
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                System.out.println(answer(emulator, line.split(" ")));
            }
        }
    }

    private static String answer(EksAuthEmulator emulator, String... command) throws IOException {
        return switch (command[0]) {
            case "delay" -> {
                emulator.heal();
                emulator.inject(new Fault.Latency(Duration.ofMillis(Long.parseLong(command[1]))));
                yield "delayed";
            }
            case "reset" -> {
                emulator.resetCounts();
                yield "reset";
            }
            case "calls" -> String.valueOf(emulator.calls());
            case "last-end" -> String.valueOf(emulator.lastEnd());
            case "keys" -> emulator.tokens().jwks(Algorithm.RS256);
            case "mint" -> {
                mint(emulator, Integer.parseInt(command[1]), Integer.parseInt(command[2]), Path.of(command[3]));
                yield "minted";
            }
            default -> throw new IllegalArgumentException("There is no command " + command[0]);
        };
    }

    private static void mint(EksAuthEmulator emulator, int first, int count, Path file) throws IOException {
        List<String> tokens = IntStream.range(first, first + count)
                .parallel()
                .mapToObj(pod -> Emulators.token(emulator, "pod-" + pod))
                .toList();
        Files.write(file, tokens);
    }
}

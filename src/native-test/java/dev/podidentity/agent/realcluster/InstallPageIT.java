package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.podidentity.agent.observe.BuildInfo;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Runs the commands of {@code kubernetes/README.md} verbatim, on a cluster where nothing is installed. */
@NeedsRealCluster
class InstallPageIT {

    private static final Path REPOSITORY = Path.of("").toAbsolutePath();
    private static final List<String> BLOCKS;

    private static RealCluster cluster;
    /** A copy of the repository, as a user would clone it. */
    private static Path clone;

    static {
        try {
            BLOCKS = Pattern.compile("(?s)```bash\n(.*?)```")
                    .matcher(Files.readString(REPOSITORY.resolve("kubernetes/README.md")))
                    .results()
                    .map(block -> block.group(1))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @BeforeAll
    static void start() throws IOException {
        Path directory = RealCluster.directory("install");
        cluster = new RealCluster(directory);
        cluster.api().start(cluster.signing(Algorithm.RS256, Algorithm.RS256));
        clone = Files.createDirectories(directory.resolve("clone"));
        copy(REPOSITORY.resolve("kubernetes"), clone.resolve("kubernetes"));
        tool("kubectl", GoProgram.API_SERVER.get() + " kubectl");
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    @Test
    void installsTheAgentWithOneCommand() throws IOException {
        // When
        String output = paste(BLOCKS.get(0));

        // Then
        assertThat(output).contains("daemonset.apps/eks-pod-identity-agent created").doesNotContainIgnoringCase("warning");
        DaemonSet installed = installed();
        assertThat(containers(installed)).extracting(Container::getImage)
                .allMatch(image -> image.startsWith("my-repository/eks-pod-identity-agent:"));
        String configMap = installed.getSpec().getTemplate().getSpec().getContainers().get(0).getEnvFrom().get(0)
                .getConfigMapRef().getName();
        assertThat(cluster.administrator().configMaps().inNamespace("kube-system").withName(configMap).get().getData())
                .containsEntry("AGENT_CLUSTER_NAME", "my-cluster");

        // When
        paste("kubectl delete -k kubernetes/my-cluster");

        // Then: Helm, the page's other method, works when nothing is left of the first
        assumeThat(GoProgram.HELM.missing()).isEmpty();
        tool("helm", GoProgram.HELM.get().toString());
        String helm = paste(command(BLOCKS.get(1), "helm install"));
        assertThat(helm).contains("STATUS: deployed", "serves the pods of cluster my-cluster");
        assertThat(containers(installed())).extracting(Container::getImage)
                .containsOnly("my-repository/eks-pod-identity-agent:" + BuildInfo.current().version());
    }

    /** Returns a command of a block, with its continuation lines. */
    private static String command(String block, String start) {
        return Pattern.compile("(?m)^" + start + "(?:.*\\\\\n)*.*$").matcher(block).results().findFirst().orElseThrow().group();
    }

    private static DaemonSet installed() {
        return cluster.administrator().apps().daemonSets().inNamespace("kube-system").withName("eks-pod-identity-agent").get();
    }

    private static List<Container> containers(DaemonSet daemonSet) {
        return Stream.concat(
                        daemonSet.getSpec().getTemplate().getSpec().getInitContainers().stream(),
                        daemonSet.getSpec().getTemplate().getSpec().getContainers().stream())
                .toList();
    }

    /** Runs commands in a shell, as if a user pasted them, and returns the output. */
    private static String paste(String commands) throws IOException {
        ProcessBuilder shell = new ProcessBuilder("bash", "-c", commands).directory(clone.toFile()).redirectErrorStream(true);
        shell.environment().put("PATH", clone.resolve("bin") + ":" + shell.environment().get("PATH"));
        shell.environment().put("KUBECONFIG", cluster.api().kubeconfig().toString());
        shell.environment().put("HOME", clone.toString());
        Process process = shell.start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.onExit().join().exitValue()).as(output).isZero();
        return output;
    }

    private static void tool(String name, String command) throws IOException {
        Path tool = Files.createDirectories(clone.resolve("bin")).resolve(name);
        Files.writeString(tool, "#!/bin/sh\nexec " + command + " \"$@\"\n");
        Files.setPosixFilePermissions(tool, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private static void copy(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(from.relativize(file).toString()));
            }
        }
    }
}

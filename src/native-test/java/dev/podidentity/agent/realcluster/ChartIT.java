package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.observe.BuildInfo;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Compares the chart's objects with the kustomize overlays, applies them to a real API server, and checks what is rejected. */
@NeedsRealCluster
class ChartIT {

    private static final String[] CLUSTER = {"--set", "clusterName=my-cluster"};
    private static final String VERIFIED =
            "podLivenessCheck.enabled=true,events.enabled=true,startupTaint.enabled=true,tokenVerification=";
    private static final String HYBRID = "env.AWS_REGION=eu-west-1,daemonsets.cloud.create=false,daemonsets.";

    @BeforeAll
    static void build() {
        assumeThat(GoProgram.HELM.missing()).isEmpty();
        GoProgram.HELM.get();
    }

    /** Returns kustomizations, the settings that they leave to the user, and the equivalent chart values. */
    static Stream<Arguments> alike() {
        return Stream.of(
                arguments("resources: [%s/eks]", "", ""),
                arguments("resources: [%s/ipv4-only]", "", "agent.additionalArgs.--bind-hosts=169.254.170.23"),
                arguments("resources: [%s/hybrid]", "AWS_REGION=eu-west-1", HYBRID + "hybrid.create=true"),
                arguments("resources: [%s/hybrid-bottlerocket]", "AWS_REGION=eu-west-1",
                        HYBRID + "hybrid-bottlerocket.create=true"),
                arguments("resources: [%s/isolated-region]", "AWS_REGION=us-iso-east-1", "env.AWS_REGION=us-iso-east-1"),
                arguments("resources: [%s/verified]", "", VERIFIED + "jwks"),
                arguments("resources: [%s/verified]\ncomponents: [%s/verified/token-review]", "", VERIFIED + "token-review"),
                arguments("resources: [%s/hybrid]\ncomponents: [%s/verified/core, %s/verified/startup-taint]",
                        "AWS_REGION=eu-west-1",
                        HYBRID + "hybrid.create=true,podLivenessCheck.enabled=true,startupTaint.enabled=true,tokenVerification=jwks"),
                arguments("resources: [%s/eks, %s/prometheus]", "", "metrics.enabled=true"));
    }

    @ParameterizedTest
    @MethodSource("alike")
    void makesTheObjectsOfTheOverlay(String overlay, String setting, String values, RealCluster cluster) {
        // Given
        List<String> literals = Stream.of("AGENT_CLUSTER_NAME=my-cluster", setting).filter(each -> !each.isEmpty()).toList();
        Path directory = Overlays.write(cluster, overlay, literals);

        // When
        String kustomized = cluster.api().kubectl("kustomize", directory.toString());
        String templated = Helm.template(set(values, "--skip-tests"));

        // Then
        Map<String, Object> expected = ComparableObjects.read(kustomized);
        expected.keySet().removeIf(name -> name.startsWith("PrometheusRule"));
        assertThat(ComparableObjects.read(templated)).containsExactlyEntriesOf(expected);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "''",
        "env.AWS_REGION=eu-west-1,daemonsets.hybrid.create=true,daemonsets.hybrid-bottlerocket.create=true",
        VERIFIED + "jwks",
        VERIFIED + "token-review",
        "metrics.enabled=true,env.AWS_REGION=us-isob-east-1"
    })
    void isTakenByTheApiServerWithoutAWarning(String values, RealCluster cluster) {
        // Given
        PrometheusOperator.define(cluster.api());
        // Not in kube-system, where the DaemonSet of the manifests may exist; its selector is immutable.
        String namespace = cluster.namespace();
        // A dry run does not create the service account, and the API server rejects the pod of the chart's test without it.
        cluster.api().kubectl("create", "serviceaccount", "eks-pod-identity-agent", "--namespace", namespace, "--save-config");
        Path file = cluster.file(
                "chart-" + values.hashCode() + ".yaml", Helm.template(set(values, "--namespace", namespace)));

        // When
        ApiServerProcess.Kubectl applied = cluster.api().tryKubectl(
                "apply", "--dry-run=server", "--warnings-as-errors", "-f", file.toString());

        // Then
        assertThat(applied.exitCode()).as(applied.output()).isZero();
        assertThat(applied.output()).doesNotContainIgnoringCase("warning")
                .contains("daemonset.apps/eks-pod-identity-agent", "pod/eks-pod-identity-agent-test", "(server dry run)");
    }

    @Test
    void isInstalledUpgradedAndRemovedAndSaysWhatToDoNext(RealCluster cluster) {
        // Given
        String namespace = cluster.namespace();
        String chart = Helm.CHART.toString();

        // When
        String installed = helm(cluster, "install", "pods", chart, "--namespace", namespace, "--set", "clusterName=prod");
        String upgraded = helm(cluster, "upgrade", "pods", chart, "--namespace", namespace, "--reuse-values",
                "--set", "agent.additionalArgs.-v=debug");

        // Then
        assertThat(installed).contains("serves the pods of cluster prod", "helm test pods --namespace " + namespace,
                "kubectl --namespace " + namespace + " rollout status daemonset/eks-pod-identity-agent", "The agent does not verify tokens");
        assertThat(upgraded).contains("REVISION: 2");
        assertThat(cluster.administrator().apps().daemonSets().inNamespace(namespace).withName("eks-pod-identity-agent").get()
                        .getSpec().getTemplate().getSpec().getContainers().get(0).getArgs())
                .containsExactly("server", "-v", "debug");
        helm(cluster, "uninstall", "pods", "--namespace", namespace);
        assertThat(cluster.administrator().apps().daemonSets().inNamespace(namespace).list().getItems()).isEmpty();
    }

    @Test
    void isOfThisVersion() {
        assertThat(Helm.run(Map.of(), "show", "chart", Helm.CHART.toString()).output())
                .contains("appVersion: " + BuildInfo.current().version() + "\n", "\nversion: " + BuildInfo.current().version() + "\n");
    }

    @Test
    void hasNothingThatHelmWouldFindFaultWith() {
        Helm.Ran linted = Helm.run(Map.of(), "lint", "--strict", Helm.CHART.toString(), "--set", "clusterName=my-cluster");

        assertThat(linted.exitCode()).as(linted.output() + linted.errors()).isZero();
    }

    @Test
    void asksAnAgentOfTheSamePortAndKindOfNodeInItsTest() {
        // When
        String rendered = Helm.template(set(HYBRID + "hybrid.create=true,agent.probePort=2999"));
        Map<String, Object> pod = object(rendered, "Pod");

        // Then
        assertThat(pod.toString()).contains("helm.sh/hook=test", "hostNetwork=true", "args=[probe, --ready, --probe-port, 2999]",
                "values=[hybrid]", "runAsUser=65532");
    }

    @ParameterizedTest
    @CsvSource({
        "clustername, clusterName",
        "cluster, clusterName",
        "agent.probeport, agent.probePort",
        "agent.additionalArg.-v, agent.additionalArgs",
        "probePort, agent.probePort",
        "images.tag, image",
        "daemonsets.hybrid.volume, daemonsets.hybrid.volumes",
        "daemonsets.bottlerocket.create, daemonsets.hybrid-bottlerocket",
        "tolerance, tolerations",
        "metrics.podMonitor.intervall, metrics.podMonitor.interval",
        "tokenVerificaton, tokenVerification",
        "enabled, events.enabled"
    })
    void refusesANameThatItDoesNotKnowAndSaysWhichOneIsNearest(String name, String nearest) {
        // When
        Helm.Ran ran = Helm.tryTemplate(set(name + "=x"));

        // Then
        assertThat(ran.exitCode()).isNotZero();
        assertThat(ran.errors()).contains("There is no value " + known(name) + ".", "Is " + nearest + " meant?");
    }

    /** Returns the part of a path that is rejected, which ends with the first unknown name. */
    private static String known(String name) {
        return switch (name) {
            case "agent.additionalArg.-v" -> "agent.additionalArg";
            case "images.tag" -> "images";
            case "daemonsets.bottlerocket.create" -> "daemonsets.bottlerocket";
            default -> name;
        };
    }

    @Test
    void takesWhatAParentChartGivesIt() {
        assertThat(Helm.tryTemplate(set("global.region=eu-west-1")).exitCode()).isZero();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "''                                                        | Set clusterName to the name of the EKS cluster",
        "clusterName=c,daemonsets.hybrid.create=true               | Set env.AWS_REGION: a hybrid node",
        "clusterName=c,events.enabled=true,serviceAccount.create=false | needs a service account of its own"
    })
    void refusesValuesThatCannotWork(String values, String problem) {
        // When
        Helm.Ran ran = values.isEmpty() ? Helm.tryTemplate() : Helm.tryTemplate("--set", values);

        // Then
        assertThat(ran.exitCode()).isNotZero();
        assertThat(ran.errors()).contains(problem);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "clusterName=[1]                          | /clusterName",
        "clusterName=\"a/b\"                      | /clusterName",
        "agent={\"probePort\":\"http\"}           | /agent/probePort",
        "agent={\"probePort\":65536}              | /agent/probePort",
        "agent={\"additionalArgs\":[\"-v\"]}      | /agent/additionalArgs",
        "agent={\"additionalArgs\":{\"v\":\"debug\"}} | /agent/additionalArgs",
        "agent={\"livenessEndpoint\":\"healthz\"} | /agent/livenessEndpoint",
        "metrics={\"enabled\":\"yes\"}            | /metrics/enabled",
        "image={\"pullPolicy\":\"Sometimes\"}     | /image/pullPolicy",
        "tokenVerification=\"jwt\"                | /tokenVerification",
        "tolerations={}                           | /tolerations",
        "resources=[]                             | /resources",
        "podAnnotations={\"a\":1}                 | /podAnnotations/a",
        "env={\"A-B\":\"c\"}                      | /env",
        "daemonsets={\"hybrid\":{\"create\":1}}   | /daemonsets/hybrid/create",
        "events=true                              | /events"
    })
    void refusesValuesOfAnotherType(String value, String place) {
        // When
        Helm.Ran ran = Helm.tryTemplate("--set-json", "clusterName=\"my-cluster\"", "--set-json", value);

        // Then
        assertThat(ran.exitCode()).isNotZero();
        assertThat(ran.errors()).contains("values don't meet the specifications of the schema", "at '" + place + "'");
    }

    /** Returns each value, a setting other than its default, and a text that the objects then contain. */
    static Stream<Arguments> effects() {
        String verified = VERIFIED + "jwks";
        return Stream.of(
                arguments("admissionPolicies.create", verified + ",admissionPolicies.create=false", "!ValidatingAdmissionPolicy"),
                arguments("affinity", "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
                        + ".matchExpressions[0].key=zone,affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
                        + ".nodeSelectorTerms[0].matchExpressions[0].operator=Exists", "key: zone"),
                arguments("agent.additionalArgs", "agent.additionalArgs.--max-service-qps=5",
                        "- \"--max-service-qps\"\n            - \"5\""),
                arguments("agent.livenessEndpoint", "agent.livenessEndpoint=", "!livenessProbe"),
                arguments("agent.probePort", "agent.probePort=2999", "port: 2999"),
                arguments("agent.readinessEndpoint", "agent.readinessEndpoint=/healthz", "!path: /readyz"),
                arguments("clusterName", "clusterName=other", "value: \"other\""),
                arguments("env", "env.AWS_REGION=eu-west-1", "- name: AWS_REGION\n              value: \"eu-west-1\""),
                arguments("events.enabled", "events.enabled=true", "name: AGENT_EVENTS"),
                arguments("fullnameOverride", "fullnameOverride=other", "name: other\n"),
                arguments("image.containerRegistry", "image.containerRegistry=my-registry:5000",
                        "image: \"my-registry:5000/eks-pod-identity-agent:"),
                arguments("image.override", "image.override=my-repository/agent:1", "image: \"my-repository/agent:1\""),
                arguments("image.pullPolicy", "image.pullPolicy=Always", "imagePullPolicy: Always"),
                arguments("image.tag", "image.tag=v2", "image: \"eks-pod-identity-agent:v2\""),
                arguments("imagePullSecrets", "imagePullSecrets[0].name=pull", "- name: pull"),
                arguments("init.additionalArgs", "init.additionalArgs.-v=trace", "- initialize\n            - \"-v\""),
                arguments("init.create", "init.create=false", "!initContainers"),
                arguments("metrics.enabled", "metrics.enabled=true", "kind: PodMonitor"),
                arguments("metrics.podMonitor.extraLabels",
                        "metrics.enabled=true,metrics.podMonitor.extraLabels.release=prometheus", "release: prometheus"),
                arguments("metrics.podMonitor.interval", "metrics.enabled=true,metrics.podMonitor.interval=1m", "interval: 1m"),
                arguments("metrics.port", "metrics.port=9999", "prometheus.io/port: \"9999\""),
                arguments("nameOverride", "nameOverride=other", "app.kubernetes.io/name: other"),
                arguments("nodeSelector", "nodeSelector.zone=a", "nodeSelector:\n        zone: a"),
                arguments("podAnnotations", "podAnnotations.team=platform", "team: platform"),
                arguments("podLabels", "podLabels.team=platform", "team: platform"),
                arguments("podLivenessCheck.enabled", "podLivenessCheck.enabled=true", "name: AGENT_POD_WATCH"),
                arguments("priorityClassName", "priorityClassName=mine", "priorityClassName: mine"),
                arguments("resources", "resources.limits.memory=320Mi", "memory: 320Mi"),
                arguments("serviceAccount.annotations", "serviceAccount.annotations.team=platform", "team: platform"),
                arguments("serviceAccount.create", "serviceAccount.create=false", "!kind: ServiceAccount"),
                arguments("serviceAccount.name", "serviceAccount.name=other", "serviceAccountName: other"),
                arguments("startupTaint.enabled", "startupTaint.enabled=true", "name: AGENT_STARTUP_TAINT"),
                arguments("startupTaint.key", "startupTaint.enabled=true,startupTaint.key=my/taint", "value: \"my/taint\""),
                arguments("tokenVerification", "tokenVerification=jwks", "name: AGENT_TOKEN_VERIFICATION"),
                arguments("tolerations", "tolerations[0].key=mine", "- key: mine"),
                arguments("updateStrategy", "updateStrategy.type=OnDelete", "type: OnDelete"),
                arguments("daemonsets.cloud.create", HYBRID + "hybrid.create=true", "!matchLabels:\n     "
                        + " app.kubernetes.io/name: eks-pod-identity-agent\n"),
                arguments("daemonsets.cloud.nameSuffix", "daemonsets.cloud.nameSuffix=ec2", "name: eks-pod-identity-agent-ec2"),
                arguments("daemonsets.cloud.additionalArgs", "daemonsets.cloud.additionalArgs.-v=debug", "- \"debug\""),
                arguments("daemonsets.cloud.env", "daemonsets.cloud.env.AWS_REGION=eu-west-1", "value: \"eu-west-1\""),
                arguments("daemonsets.cloud.additionalSecurityContext",
                        "daemonsets.cloud.additionalSecurityContext.seLinuxOptions.type=spc_t", "type: spc_t"),
                arguments("daemonsets.cloud.volumes",
                        "daemonsets.cloud.volumes[0].name=ca,daemonsets.cloud.volumes[0].hostPath.path=/ca", "path: /ca"),
                arguments("daemonsets.cloud.volumeMounts",
                        "daemonsets.cloud.volumeMounts[0].name=ca,daemonsets.cloud.volumeMounts[0].mountPath=/ca", "mountPath: /ca"),
                arguments("daemonsets.cloud.affinity", "daemonsets.cloud.affinity.podAffinity.x=y", "podAffinity"));
    }

    /** A text that starts with an exclamation mark must no longer be present. */
    @ParameterizedTest(name = "{0}")
    @MethodSource("effects")
    void doesWhatEachValueSays(String name, String values, String text) {
        // When
        String before = Helm.template(set(values.startsWith(VERIFIED) ? VERIFIED + "jwks" : "", "--skip-tests"));
        String after = Helm.template(set(values, "--skip-tests"));

        // Then
        if (text.startsWith("!")) {
            assertThat(before).contains(text.substring(1));
            assertThat(after).doesNotContain(text.substring(1));
        } else {
            assertThat(before).doesNotContain(text);
            assertThat(after).contains(text);
        }
    }

    @Test
    void hasAnEffectATypeAndANameForEachValue() throws IOException {
        // Given
        Set<String> paths = new TreeSet<>();
        leaves("", ComparableObjects.documents(Files.readString(Helm.CHART.resolve("values.yaml"))).get(0),
                new JsonObject(Files.readString(Helm.CHART.resolve("values.schema.json"))), paths);
        String template = Files.readString(Helm.CHART.resolve("templates/_names.tpl"));

        // Then: every value has a case, given that the three DaemonSets have the same values
        assertThat(paths.stream().filter(path -> !path.matches("daemonsets\\.hybrid.*")))
                .containsExactlyInAnyOrderElementsOf(effects().map(each -> (String) each.get()[0]).toList());
        assertThat(Pattern.compile("(?m)^- ([a-zA-Z.]+)$").matcher(template).results().map(name -> name.group(1)))
                .containsExactlyInAnyOrderElementsOf(paths.stream().filter(path -> !path.startsWith("daemonsets.")).toList());
    }

    /** Adds the paths of all values. Each value must be in the schema, and each property of the schema must be a value. */
    private static void leaves(String prefix, Map<String, Object> values, JsonObject schema, Set<String> paths) {
        JsonObject properties = schema.getJsonObject("properties");
        assertThat(values.keySet()).as(prefix).isEqualTo(properties.fieldNames());
        values.forEach((name, value) -> {
            JsonObject type = properties.getJsonObject(name);
            if (type.getString("$ref", "").equals("#/$defs/daemonset")) {
                ComparableObjects.mapping(value).keySet().forEach(each -> paths.add(prefix + name + '.' + each));
            } else if (type.containsKey("properties")) {
                leaves(prefix + name + '.', ComparableObjects.mapping(value), type, paths);
            } else {
                paths.add(prefix + name);
            }
        });
    }

    /** Uses values of the reference agent's chart that this chart does not have. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "agent.command            | the image's entry point is the agent",
        "init.command             | the image's entry point is the agent",
        "agent.advertiseProxyPort | claim it on every address",
        "image.region             | no effect",
        "metrics.path             | always /metrics",
        "metrics.extraLabels.a    | podAnnotations",
        "metrics.serviceMonitor.enabled | metrics.enabled creates a PodMonitor"
    })
    void saysWhyAValueOfTheReferencesChartHasNoPlace(String name, String reason) {
        // When
        Helm.Ran ran = Helm.tryTemplate(set(name + "=x"));

        // Then
        assertThat(ran.exitCode()).isNotZero();
        assertThat(ran.errors()).contains("This chart does not have the value ", "of Amazon's chart", reason);
    }

    private static String helm(RealCluster cluster, String... arguments) {
        Helm.Ran ran = Helm.run(Map.of("KUBECONFIG", cluster.api().kubeconfig().toString()), arguments);
        assertThat(ran.exitCode()).as(ran.output() + ran.errors()).isZero();
        return ran.output();
    }

    private static Map<String, Object> object(String rendered, String kind) {
        return ComparableObjects.documents(rendered).stream()
                .filter(object -> object.get("kind").equals(kind))
                .findFirst()
                .orElseThrow();
    }

    private static String[] set(String values, String... others) {
        List<String> arguments = new ArrayList<>(Arrays.asList(CLUSTER));
        if (!values.isEmpty()) {
            arguments.addAll(List.of("--set", values));
        }
        arguments.addAll(List.of(others));
        return arguments.toArray(String[]::new);
    }
}

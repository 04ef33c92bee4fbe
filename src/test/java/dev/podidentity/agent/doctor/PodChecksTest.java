package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A pod as EKS's webhook leaves it, and with one thing wrong at a time. */
class PodChecksTest {

    private static final String API = "http://api.test";
    private static final String NODE = "GET " + API + "/api/v1/nodes/node-1";
    private static final String AGENTS = "GET " + API + "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1";
    private static final String POLICIES = "GET " + API + "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
    private static final String POD = """
            {"metadata":{"namespace":"shop","name":"cart-0","labels":{"app":"cart"},"creationTimestamp":"2026-01-01T00:00:00Z"},
             "spec":{"serviceAccountName":"cart","nodeName":"node-1","containers":[{"name":"app",
               "env":[{"name":"AWS_CONTAINER_CREDENTIALS_FULL_URI","value":"http://169.254.170.23/v1/credentials"},
                      {"name":"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                       "value":"/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"}],
               "volumeMounts":[{"name":"token","mountPath":"/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"}]}],
              "volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":
                {"audience":"pods.eks.amazonaws.com","expirationSeconds":86400,"path":"eks-pod-identity-token"}}]}}]},
             "status":{"phase":"Running"}}""";

    private final FakeWeb web = new FakeWeb();
    private final Kube kube = kube(web);

    @Test
    void isContentWithAPodAsTheWebhookLeavesIt() {
        // Given
        Pod pod = pod(POD);
        web.answer(NODE, 200, "{\"metadata\":{\"labels\":{\"kubernetes.io/os\":\"linux\"}}}")
                .answer(AGENTS, 200, agents("True"))
                .answer(POLICIES, 200, "{\"items\":[]}");

        // Then
        assertThat(Stream.of(new PodCheck(pod), new PlacementCheck(pod, kube), new AgentOnNodeCheck(pod, kube), new InjectionCheck(pod),
                        new PrecedenceCheck(pod), new PodProxyCheck(pod), new HostNetworkCheck(pod), new NetworkPolicyCheck(pod, kube))
                .flatMap(check -> check.examine().stream()))
                .hasSize(8)
                .allSatisfy(finding -> assertThat(finding.status()).as(finding.seen()).isEqualTo(Status.OK));
        assertThat(new SdkCheck().examine()).singleElement().satisfies(finding ->
                assertThat(finding.details()).anyMatch(line -> line.contains("Java v2 2.21.30")));
    }

    @Test
    void warnsOfAPodThatIsOnNoNode() {
        Pod pod = pod(POD.replace("\"nodeName\":\"node-1\",", ""));

        assertThat(new PodCheck(pod).examine()).extracting(Finding::status).containsExactly(Status.WARN);
        assertThat(new PlacementCheck(pod, kube).examine()).extracting(Finding::status).containsExactly(Status.SKIP);
        assertThat(new AgentOnNodeCheck(pod, kube).examine()).extracting(Finding::status).containsExactly(Status.SKIP);
    }

    @ParameterizedTest
    @CsvSource({
        "eks.amazonaws.com/compute-type, fargate, FAIL, Fargate",
        "kubernetes.io/os, windows, FAIL, Windows",
        "eks.amazonaws.com/compute-type, auto, OK, Auto Mode",
        "eks.amazonaws.com/compute-type, hybrid, OK, hybrid"
    })
    void tellsTheKindOfTheNode(String label, String value, Status status, String seen) {
        web.answer(NODE, 200, new JsonObject().put("metadata",
                new JsonObject().put("labels", new JsonObject().put(label, value))).encode());

        assertThat(new PlacementCheck(pod(POD), kube).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(status);
            assertThat(finding.seen()).contains(seen);
        });
    }

    @Test
    void tellsFargateAndWindowsByThePodItself() {
        assertThat(new PlacementCheck(pod(POD.replace("{\"app\":\"cart\"}", "{\"eks.amazonaws.com/fargate-profile\":\"fp\"}")), kube)
                .examine()).extracting(Finding::status).containsExactly(Status.FAIL);
        assertThat(new PlacementCheck(pod(POD.replace("\"serviceAccountName\"", "\"os\":{\"name\":\"windows\"},\"serviceAccountName\"")),
                kube).examine()).extracting(Finding::status).containsExactly(Status.FAIL);
    }

    @Test
    void skipsWhatTheCallerMayNotRead() {
        for (String path : List.of(NODE, AGENTS, POLICIES)) {
            web.answer(path, 403, "{\"message\":\"nodes is forbidden\"}");
        }

        assertThat(Stream.of(new PlacementCheck(pod(POD), kube), new AgentOnNodeCheck(pod(POD), kube),
                        new NetworkPolicyCheck(pod(POD), kube))
                .flatMap(check -> check.examine().stream()))
                .hasSize(3)
                .allSatisfy(finding -> {
                    assertThat(finding.status()).isEqualTo(Status.SKIP);
                    assertThat(finding.seen()).contains("HTTP 403", "is forbidden");
                });
    }

    @Test
    void failsWithoutAReadyAgentOnTheNode() {
        web.answer(AGENTS, 200, agents("False"));
        assertThat(new AgentOnNodeCheck(pod(POD), kube).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.remedy()).contains("Check it: kubectl -n kube-system exec agent-1 -- /eks-pod-identity-agent"
                    + " doctor");
        });

        web.answer(AGENTS, 200, agents("True").replace("node-1", "node-2"));
        assertThat(new AgentOnNodeCheck(pod(POD), kube).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).isEqualTo("No agent runs on node node-1");
        });
    }

    @Test
    void knowsAnAgentByItsLabelToo() {
        web.answer(AGENTS, 200, agents("True").replace("agent-hybrid\"", "agent\"")
                .replace("[{\"name\":\"eks-pod-identity-agent\"}]", "[{\"name\":\"server\"}]"));

        assertThat(new AgentOnNodeCheck(pod(POD), kube).examine()).containsExactly(
                Finding.ok("The agent kube-system/agent-1 on its node is ready"));
    }

    static Stream<Arguments> injections() {
        return Stream.of(
                arguments("http://169.254.170.23/v1/credentials", "http://169.254.170.2/v1/credentials", "uses the endpoint"
                        + " http://169.254.170.2/"),
                arguments("\"volumeMounts\"", "\"otherMounts\"", "has no volume at the path of its token"),
                arguments("\"mountPath\":\"/var/run", "\"mountPath\":\"/run", "has no volume at the path of its token"),
                arguments("\"path\":\"eks-pod-identity-token\"", "\"path\":\"token\"", "without a service-account token"),
                arguments("\"audience\":\"pods.eks.amazonaws.com\"", "\"audience\":\"sts.amazonaws.com\"",
                        "a token for the audience \"sts.amazonaws.com\""),
                arguments("AWS_CONTAINER_CREDENTIALS_FULL_URI", "OTHER", "Nothing was injected"));
    }

    @ParameterizedTest
    @MethodSource("injections")
    void failsOnWhatIsNotAsTheWebhookMakesIt(String right, String wrong, String seen) {
        assertThat(new InjectionCheck(pod(POD.replace(right, wrong))).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).contains(seen);
        });
    }

    @Test
    void takesTheAddressOfIpv6Clusters() {
        assertThat(new InjectionCheck(pod(POD.replace("http://169.254.170.23/", "http://[fd00:ec2::23]/"))).examine())
                .extracting(Finding::status).containsExactly(Status.OK);
    }

    @Test
    void warnsOfAContainerThatWasLeftOut() {
        assertThat(new InjectionCheck(pod(POD.replace("\"containers\":[", "\"containers\":[{\"name\":\"sidecar\"},"))).examine())
                .extracting(Finding::status).containsExactly(Status.WARN, Status.OK);
    }

    @ParameterizedTest
    @CsvSource({
        "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY, static keys",
        "AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE, IRSA",
        "AWS_PROFILE, AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE, AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, RELATIVE_URI"
    })
    void warnsOfWhatSdksTakeBefore(String variables, String seen) {
        assertThat(new PrecedenceCheck(withVariables(variables)).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.WARN);
            assertThat(finding.seen()).contains(seen);
            assertThat(finding.toString()).doesNotContain("value-of");
        });
    }

    @Test
    void saysThatItDoesNotLookIntoSecretsThatSetVariables() {
        Pod pod = pod(POD.replace("{\"name\":\"app\",", "{\"name\":\"app\",\"envFrom\":[{\"secretRef\":{\"name\":\"aws\"}}],"));

        assertThat(new PrecedenceCheck(pod).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.SKIP);
            assertThat(finding.seen()).contains("Secret aws");
        });
    }

    @ParameterizedTest
    @CsvSource({
        "'', WARN",
        "localhost, WARN",
        "169.254.169.254, WARN",
        "'localhost,169.254.170.23', OK",
        "169.254.0.0/16, OK",
        "10.0.0.0/8, WARN",
        "*, OK"
    })
    void looksWhetherTheAgentIsAskedThroughTheProxy(String noProxy, Status status) {
        Pod pod = pod(POD.replace("\"env\":[", "\"env\":[{\"name\":\"http_proxy\",\"value\":\"http://proxy:3128\"},"
                + "{\"name\":\"NO_PROXY\",\"value\":\"" + noProxy + "\"},"));

        assertThat(new PodProxyCheck(pod).examine()).extracting(Finding::status).containsExactly(status);
    }

    @Test
    void wantsTheAddressOfIpv6InNoProxyWhereThatIsAsked() {
        Pod pod = pod(POD.replace("http://169.254.170.23/", "http://[fd00:ec2::23]/")
                .replace("\"env\":[", "\"env\":[{\"name\":\"HTTP_PROXY\",\"value\":\"http://proxy:3128\"},"
                        + "{\"name\":\"NO_PROXY\",\"value\":\"169.254.170.23\"},"));

        assertThat(new PodProxyCheck(pod).examine()).singleElement().satisfies(finding ->
                assertThat(finding.remedy()).contains("Add fd00:ec2::23 to its NO_PROXY"));
    }

    @Test
    void warnsOfAPodOnTheNetworkOfItsNode() {
        Pod pod = pod(POD.replace("\"nodeName\"", "\"hostNetwork\":true,\"nodeName\""));

        assertThat(new HostNetworkCheck(pod).examine()).extracting(Finding::status).containsExactly(Status.WARN);
        assertThat(new NetworkPolicyCheck(pod, kube).examine()).extracting(Finding::status).containsExactly(Status.OK);
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"]}; WARN",
        "{\"podSelector\":{},\"policyTypes\":[\"Ingress\"]}; OK",
        "{\"podSelector\":{\"matchLabels\":{\"app\":\"cart\"}},\"policyTypes\":[\"Egress\"]}; WARN",
        "{\"podSelector\":{\"matchLabels\":{\"app\":\"mail\"}},\"policyTypes\":[\"Egress\"]}; OK",
        "{\"podSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\",\"values\":[\"cart\"]}]},"
            + "\"policyTypes\":[\"Egress\"]}; OK",
        "{\"podSelector\":{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]},\"policyTypes\":[\"Egress\"]}; WARN",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{}]}; OK",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"ports\":[{\"protocol\":\"UDP\",\"port\":53}]}]}; WARN",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":\"169.254.170.23/32\"}}],"
            + "\"ports\":[{\"port\":80}]}]}; OK",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":\"0.0.0.0/0\","
            + "\"except\":[\"169.254.0.0/16\"]}}]}]}; WARN",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":\"0.0.0.0/0\"}}],"
            + "\"ports\":[{\"port\":1,\"endPort\":1024}]}]}; OK",
        "{\"podSelector\":{},\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"namespaceSelector\":{}}]}]}; WARN",
        "{\"podSelector\":{},\"egress\":[]}; WARN"
    })
    void readsWhetherAPolicyShutsTheAgentOut(String spec, Status status) {
        web.answer(POLICIES, 200, "{\"items\":[{\"metadata\":{\"name\":\"limits\"},\"spec\":" + spec + "}]}");

        assertThat(new NetworkPolicyCheck(pod(POD), kube).examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(status);
            assertThat(finding.seen()).matches(seen -> status == Status.OK || seen.contains("limits"));
        });
    }

    static Kube kube(FakeWeb web) {
        return new Kube(web, new KubeAccess(URI.create(API), Optional.empty(), Web.Route.DIRECT, "a test"));
    }

    static Pod pod(String json) {
        return new Pod(new Tree(new JsonObject(json)));
    }

    private static Pod withVariables(String names) {
        StringBuilder variables = new StringBuilder("\"env\":[");
        for (String name : names.split(" ")) {
            variables.append("{\"name\":\"").append(name).append("\",\"value\":\"value-of-").append(name).append("\"},");
        }
        return pod(POD.replace("\"env\":[", variables));
    }

    /** The pods of the node: the one that is checked, and an agent with the labels of a DaemonSet for hybrid nodes. */
    private static String agents(String ready) {
        return "{\"items\":[" + POD + ",{\"metadata\":{\"namespace\":\"kube-system\",\"name\":\"agent-1\","
                + "\"labels\":{\"app.kubernetes.io/name\":\"eks-pod-identity-agent-hybrid\"}},"
                + "\"spec\":{\"nodeName\":\"node-1\",\"containers\":[{\"name\":\"eks-pod-identity-agent\"}]},"
                + "\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"" + ready + "\"}]}}]}";
    }
}

package dev.podidentity.agent.doctor;

import dev.podidentity.agent.cli.DoctorRequest;
import dev.podidentity.agent.cli.ServerSettings;
import dev.podidentity.agent.network.PortOwners;
import dev.podidentity.agent.outbound.CallFailure;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The command {@code doctor}: creates the checks, runs them, and reports. */
public final class Doctor {

    private static final Path PROC = Path.of("/proc");
    private static final int UNUSABLE = 2;

    private final Map<String, String> environment;
    private final PrintWriter out;
    private final PrintWriter err;

    public Doctor(Map<String, String> environment, PrintWriter out, PrintWriter err) {
        this.environment = environment;
        this.out = out;
        this.err = err;
    }

    /**
     * Runs the requested checks. Blocks; for the main thread, before other threads exist.
     *
     * @return the exit code: 0 if all is well, 1 if there are warnings, 2 if there are failures
     */
    public int run(DoctorRequest request) {
        AgentSettings settings;
        try {
            settings = AgentSettings.of(
                    ServerSettings.effective(request.given(), new RunningAgent(PROC).arguments(), environment), environment);
        } catch (IllegalArgumentException e) {
            err.println("Error: " + e.getMessage());
            err.flush();
            return UNUSABLE;
        }
        NodeNetwork network = NodeNetwork.read();
        Examination examination = new Examination(request.json() ? new JsonReport(out) : new TextReport(out));
        try (VertxWeb web = new VertxWeb()) {
            examination.run(checks(request, settings, network, web));
        }
        return examination.end();
    }

    private List<Check> checks(DoctorRequest request, AgentSettings settings, NodeNetwork network, Web web) {
        if (request.irsa() || request.pod().isPresent()) {
            try {
                Kube kube = new Kube(web, access(request, settings));
                return request.irsa()
                        ? List.of(new IrsaCheck(kube, aws(web), settings.clusterName()))
                        : ofPod(request, settings, kube, web);
            } catch (CallFailure failure) {
                return List.of(new Known("api-server", List.of(Finding.failed(failure))));
            }
        }
        return ofNode(request, settings, network, web);
    }

    /**
     * Selects the identity for the API server: the kubeconfig that was passed, the service account of this container, or the
     * user's own kubeconfig.
     */
    private KubeAccess access(DoctorRequest request, AgentSettings settings) throws CallFailure {
        boolean inPod = settings.apiServer().isPresent() || environment.containsKey("KUBERNETES_SERVICE_HOST");
        return request.kubeconfig().isEmpty() && request.context().isEmpty() && inPod
                ? KubeAccess.inCluster(settings, environment)
                : Kubeconfig.read(request.kubeconfig().map(Path::of).orElseGet(() -> Kubeconfig.place(environment)), environment)
                        .access(request.context());
    }

    private Optional<AwsCalls> aws(Web web) {
        AwsFacts aws = new AwsFacts();
        return aws.region().value().flatMap(region ->
                aws.credentials().value().map(credentials -> new AwsCalls(web, region, credentials, environment)));
    }

    private List<Check> ofPod(DoctorRequest request, AgentSettings settings, Kube kube, Web web) throws CallFailure {
        String[] name = request.pod().orElseThrow().split("/", 2);
        Optional<Pod> found = kube.get("/api/v1/namespaces/" + name[0] + "/pods/" + name[1]).map(object -> new Pod(new Tree(object)));
        if (found.isEmpty()) {
            return List.of(new Known("pod", List.of(Finding.fail("There is no pod " + request.pod().get(),
                    "Find its name: kubectl -n " + name[0] + " get pods"))));
        }
        Pod pod = found.get();
        List<Check> checks = new ArrayList<>(List.of(
                new PodCheck(pod),
                new PlacementCheck(pod, kube),
                new AgentOnNodeCheck(pod, kube),
                new InjectionCheck(pod),
                new PrecedenceCheck(pod),
                new PodProxyCheck(pod),
                new HostNetworkCheck(pod),
                new NetworkPolicyCheck(pod, kube),
                new SdkCheck()));
        if (request.association()) {
            checks.add(new AssociationCheck(pod, aws(web), settings.clusterName()));
        }
        return checks;
    }

    private List<Check> ofNode(DoctorRequest request, AgentSettings settings, NodeNetwork network, Web web) {
        boolean ipv6 = Ipv6Check.on(PROC);
        AwsFacts aws = new AwsFacts();
        EksAuthPlace place = EksAuthPlace.of(aws, settings, environment);
        EksAuthCall call = new EksAuthCall(web, place, aws, settings, environment);
        AgentHttp agent = new AgentHttp(web, settings);
        Optional<Kube> kube;
        String noKube = "";
        try {
            kube = Optional.of(new Kube(web, request.kubeconfig().isPresent()
                    ? access(request, settings)
                    : KubeAccess.inCluster(settings, environment)));
        } catch (CallFailure failure) {
            kube = Optional.empty();
            noKube = failure.getMessage();
        }
        return List.of(
                new LinkCheck(network),
                new AddressCheck(network, ipv6),
                new RouteCheck(network),
                new Ipv6Check(PROC),
                new PortCheck(settings, new PortOwners(PROC), new RunningAgent(PROC), ipv6),
                new RegionCheck(aws),
                new CredentialsCheck(aws, Clock.systemUTC()),
                new ImdsCheck(web, aws, network.imds(), environment),
                new EndpointCheck(place, Names.PLATFORM),
                new ProxyCheck(place),
                new ConnectionCheck(call, place),
                new ClockCheck(call, Clock.systemUTC()),
                new PermissionCheck(call, settings),
                new RbacCheck(settings, kube, noKube),
                new HealthCheck(agent),
                new LimitsCheck(agent),
                new CacheCheck(agent));
    }
}

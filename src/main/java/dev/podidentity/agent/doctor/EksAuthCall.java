package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.doctor.SignedCalls.Body;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.eksauth.AwsSetup.Target;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.outbound.TrustRoots;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;

/**
 * One call to EKS Auth with a made-up token, which no cluster issued. EKS Auth rejects it, and its response shows whether
 * the caller has the permission. Made once, at the first use. Confined to one thread.
 */
final class EksAuthCall {

    private final Web web;
    private final EksAuthPlace place;
    private final AwsFacts aws;
    private final AgentSettings settings;
    private final Map<String, String> environment;
    private Optional<Outcome> outcome = Optional.empty();

    EksAuthCall(Web web, EksAuthPlace place, AwsFacts aws, AgentSettings settings, Map<String, String> environment) {
        this.web = web;
        this.place = place;
        this.aws = aws;
        this.settings = settings;
        this.environment = environment;
    }

    Outcome outcome() {
        outcome = outcome.or(() -> Optional.of(make()));
        return outcome.get();
    }

    private Outcome make() {
        if (place.target().isEmpty()) {
            return new Outcome(Optional.empty(), Optional.of(Finding.skip("EKS Auth was not called, because its endpoint is"
                    + " not known")));
        }
        if (aws.credentials().value().isEmpty()) {
            return new Outcome(Optional.empty(), Optional.of(Finding.skip("EKS Auth was not called, because there are no AWS"
                    + " credentials")));
        }
        if (settings.clusterName().isEmpty()) {
            return new Outcome(Optional.empty(), Optional.of(Finding.skip(
                    "EKS Auth was not called, because the cluster's name is not known", "Pass --cluster-name")));
        }
        Target target = place.target().get();
        String host = target.url().getHost();
        Callee callee = new Callee(
                "EKS Auth at " + host,
                "check the route and the security groups to the VPC endpoint or the internet, and the proxy",
                "set AWS_CA_BUNDLE if a proxy or an isolated region has a certificate authority of its own");
        URI url = URI.create(target.url().toString().replaceFirst("/+$", "") + "/clusters/" + settings.clusterName().get()
                + "/assume-role-for-pod-identity");
        Body body = new Body("application/json", new JsonObject().put("token", madeUp()).encode());
        Route route = new Route(place.proxy(), TrustRoots.ofAwsCaBundle(environment), Optional.empty());
        try {
            return new Outcome(Optional.of(new SignedCalls(web).make("POST", url, Optional.of(body), aws.credentials().value().get(),
                    "eks-auth", aws.region().value().orElseThrow().id(), route, callee)), Optional.empty());
        } catch (CallFailure failure) {
            return new Outcome(Optional.empty(), Optional.of(Finding.failed(failure)));
        }
    }

    /** Returns a well-formed token with an invalid signature. */
    private static String madeUp() {
        return part("{\"alg\":\"RS256\",\"kid\":\"doctor\"}") + '.'
                + part("{\"aud\":[\"pods.eks.amazonaws.com\"],\"exp\":4102444800,\"iss\":\"https://doctor.invalid\","
                        + "\"sub\":\"system:serviceaccount:doctor:doctor\"}")
                + '.' + part("not a signature");
    }

    private static String part(String text) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    /**
     * The result of the call.
     *
     * @param answer any response of EKS Auth
     * @param none why there is no response
     */
    record Outcome(Optional<ApiAnswer> answer, Optional<Finding> none) {}
}

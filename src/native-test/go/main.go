// A real kube-apiserver with its etcd, and kubectl, in one program: for tests on one machine. README.md says how to use it.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const usage = `usage:
  api-server start DIRECTORY [flags of kube-apiserver]
  api-server etcd DIRECTORY
  api-server compact ETCD_URL
  api-server kubectl ...`

//go:embed audit.yaml
var auditPolicy []byte

func main() {
	command, arguments := "", []string{}
	if len(os.Args) > 2 {
		command, arguments = os.Args[1], os.Args[2:]
	}
	switch command {
	case "start":
		go endWithInput()
		start(directory(arguments[0]), arguments[1:])
	case "etcd":
		go endWithInput()
		fmt.Println("ready", startEtcd(directory(arguments[0])))
		select {}
	case "compact":
		compact(arguments[0])
	case "kubectl":
		os.Args = os.Args[1:]
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}

// endWithInput ends the program when nobody is left who could write to its standard input, so that no server outlives the
// test that started it.
func endWithInput() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func directory(name string) string {
	dir, err := filepath.Abs(name)
	must(err)
	must(os.MkdirAll(dir, 0o700))
	return dir
}

// start runs an API server until it is told to stop. Flags that are given take the place of these.
func start(dir string, flags []string) {
	file := func(name string) string { return filepath.Join(dir, name) }
	must(os.WriteFile(file("audit.yaml"), auditPolicy, 0o600))
	certificates(dir)
	port, given := value(flags, "--secure-port")
	if !given {
		port = freePort()
	}
	if _, given := value(flags, "--etcd-servers"); !given {
		flags = append(flags, "--etcd-servers="+startEtcd(dir))
	}
	kubeconfig(dir, port)
	go announce(dir, port)

	command := app.NewAPIServerCommand()
	command.SetArgs(withDefaults(flags,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port="+port,
		"--tls-cert-file="+file("server.crt"),
		"--tls-private-key-file="+file("server.key"),
		"--client-ca-file="+file("ca.crt"),
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+file("sa.key"),
		"--service-account-signing-key-file="+file("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--audit-policy-file="+file("audit.yaml"),
		"--audit-log-path="+file("audit.log"),
		// There are no endpoints to keep of API servers that come and go.
		"--endpoint-reconciler-type=none",
		"--shutdown-delay-duration=0"))
	os.Exit(cli.Run(command))
}

func withDefaults(flags []string, defaults ...string) []string {
	all := append([]string{}, flags...)
	for _, flag := range defaults {
		name, _, _ := strings.Cut(flag, "=")
		if _, given := value(flags, name); !given {
			all = append(all, flag)
		}
	}
	return all
}

// value finds what a flag is given as --name=value.
func value(flags []string, name string) (string, bool) {
	for _, flag := range flags {
		if given, found := strings.CutPrefix(flag, name+"="); found {
			return given, true
		}
	}
	return "", false
}

// startEtcd starts an etcd that keeps its data in DIRECTORY/etcd and gives its URL. What it has written survives its own
// process being killed, and need not survive the machine's.
func startEtcd(dir string) string {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	client, peer := local(), local()
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	must(err)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(time.Minute):
		must(fmt.Errorf("etcd is not ready"))
	}
	return client.String()
}

// compact makes an etcd forget all revisions but the last.
func compact(etcd string) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}, DialTimeout: 10 * time.Second})
	must(err)
	defer client.Close()
	limited, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer, err := client.Get(limited, "/")
	must(err)
	_, err = client.Compact(limited, answer.Header.Revision, clientv3.WithCompactPhysical())
	must(err)
}

// announce writes "ready" and the server's URL to standard output once /readyz is 200. Before that the server answers, but
// with 403 to almost everybody.
func announce(dir, port string) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key"))
	must(err)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	server := "https://127.0.0.1:" + port
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}}
	for {
		answer, err := client.Get(server + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				fmt.Println("ready", server)
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// certificates makes an authority, the server's certificate, an administrator's, and the key of service account tokens,
// each unless the directory has it.
func certificates(dir string) {
	if missing(dir, "ca.crt") {
		caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test-ca"},
			NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true,
			BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
		der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
		must(err)
		write(dir, "ca.crt", "CERTIFICATE", der)
		issue(dir, "server", pkix.Name{CommonName: "kube-apiserver"}, ca, caKey)
		issue(dir, "admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}, ca, caKey)
	}
	if missing(dir, "sa.key") {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(err)
		write(dir, "sa.key", "EC PRIVATE KEY", ec(key))
	}
}

func missing(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return os.IsNotExist(err)
}

func issue(dir, name string, subject pkix.Name, ca *x509.Certificate, caKey *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(err)
	certificate := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, certificate, ca, key.Public(), caKey)
	must(err)
	write(dir, name+".crt", "CERTIFICATE", der)
	write(dir, name+".key", "EC PRIVATE KEY", ec(key))
}

func ec(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(key)
	must(err)
	return der
}

func write(dir, name, kind string, der []byte) {
	must(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func kubeconfig(dir, port string) {
	must(os.WriteFile(filepath.Join(dir, "admin.kubeconfig"), []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters:
  - name: test
    cluster: {server: "https://127.0.0.1:%[1]s", certificate-authority: %[2]q}
contexts:
  - name: test
    context: {cluster: test, user: admin}
users:
  - name: admin
    user: {client-certificate: %[3]q, client-key: %[4]q}
`, port, filepath.Join(dir, "ca.crt"), filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key"))), 0o600))
}

func local() url.URL {
	return url.URL{Scheme: "http", Host: "127.0.0.1:" + freePort()}
}

func freePort() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(err)
	return port
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Command kubernetes builds a kustomize folder and decodes every object
// strictly into Kubernetes' own Go types: an unknown field, a duplicate, a
// wrong type or an unknown kind is an error. It needs no cluster and no schema
// download. It does not know what only a server checks (say, that a selector
// matches its template's labels), so it checks two of these itself. And it wants
// that whose word nginx takes for a client's address, nobody else reaches nginx.
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubernetes FOLDER")
		os.Exit(2)
	}
	n, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		os.Exit(1)
	}
	fmt.Printf("kubernetes: %d objects decode strictly\n", n)
}

func check(folder string) (int, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return 0, err
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var told trust
	for _, res := range built.Resources() {
		raw, err := res.AsYAML()
		if err != nil {
			return 0, err
		}
		obj, _, err := strict.Decode(raw, nil, nil)
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", res.GetKind(), res.GetName(), err)
		}
		if err := errors.Join(selects(obj), whole(obj)); err != nil {
			return 0, fmt.Errorf("%s %s: %w", res.GetKind(), res.GetName(), err)
		}
		told.read(obj)
	}
	return built.Size(), told.misplaced()
}

// trust is whether nginx takes somebody's word on a client's address, and whether
// the policy nginx lets everybody in.
type trust struct{ proxies, everybody bool }

var takesWord = regexp.MustCompile(`(?m)^\s*set_real_ip_from\s`)

func (t *trust) read(obj runtime.Object) {
	switch o := obj.(type) {
	case *corev1.ConfigMap:
		if strings.HasPrefix(o.Name, "nginx-site") {
			t.proxies = takesWord.MatchString(o.Data["trusted_proxies.conf"])
		}
	case *networkingv1.NetworkPolicy:
		for _, rule := range o.Spec.Ingress {
			if o.Name == "nginx" && len(rule.From) == 0 {
				t.everybody = true
			}
		}
	}
}

// misplaced reports that any pod may say whom it comes from.
func (t *trust) misplaced() error {
	if t.proxies && t.everybody {
		return errors.New("NetworkPolicy nginx lets everybody in, and trusted_proxies.conf takes " +
			"the word of the pods' networks on a client's address: name the controller's namespace")
	}
	return nil
}

// selects reports an error where a workload would not own its own pods.
func selects(obj runtime.Object) error {
	var selector *metav1.LabelSelector
	var pods labels.Set
	switch o := obj.(type) {
	case *appsv1.Deployment:
		selector, pods = o.Spec.Selector, o.Spec.Template.Labels
	case *appsv1.StatefulSet:
		selector, pods = o.Spec.Selector, o.Spec.Template.Labels
	default:
		return nil
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return err
	}
	if s.Empty() || !s.Matches(pods) {
		return fmt.Errorf("selector %s does not match the template's labels %s", s, pods)
	}
	return nil
}

// whole reports a container without an image, which a patch makes that names one
// that is not there, and a mount of a volume that is not there.
func whole(obj runtime.Object) error {
	var pod corev1.PodSpec
	switch o := obj.(type) {
	case *appsv1.Deployment:
		pod = o.Spec.Template.Spec
	case *appsv1.StatefulSet:
		pod = o.Spec.Template.Spec
		for _, claim := range o.Spec.VolumeClaimTemplates {
			pod.Volumes = append(pod.Volumes, corev1.Volume{Name: claim.Name})
		}
	}
	there := map[string]bool{}
	for _, volume := range pod.Volumes {
		there[volume.Name] = true
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		if c.Image == "" {
			return fmt.Errorf("container %s has no image", c.Name)
		}
		for _, mount := range c.VolumeMounts {
			if !there[mount.Name] {
				return fmt.Errorf("container %s mounts %s, which is no volume of the pod", c.Name, mount.Name)
			}
		}
	}
	return nil
}

// Command kubernetes builds a kustomize folder and decodes every object
// strictly into Kubernetes' own Go types: an unknown field, a duplicate, a
// wrong type or an unknown kind is an error. It needs no cluster and no schema
// download. It does not know what only a server checks (say, that a selector
// matches its template's labels), so it checks that one itself.
package main

import (
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
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
	for _, res := range built.Resources() {
		raw, err := res.AsYAML()
		if err != nil {
			return 0, err
		}
		obj, _, err := strict.Decode(raw, nil, nil)
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", res.GetKind(), res.GetName(), err)
		}
		if err := selects(obj); err != nil {
			return 0, fmt.Errorf("%s %s: %w", res.GetKind(), res.GetName(), err)
		}
	}
	return built.Size(), nil
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
